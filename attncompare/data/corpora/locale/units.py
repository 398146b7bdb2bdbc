"""Amounts: currencies, units, durations and relative times, with CLDR's plural forms."""

import datetime as dt
import functools
import random
from collections.abc import Callable
from typing import Literal

from babel.dates import format_timedelta
from babel.numbers import format_currency
from babel.units import format_unit

from attncompare.data.corpora.locale.language import Both, Language
from attncompare.data.corpora.locale.numbers import below, decimal
from attncompare.data.corpora.locale.segments import Said, Segment, Segments, around

_CURRENCIES = (
    "EUR",
    "USD",
    "GBP",
    "JPY",
    "CHF",
    "SEK",
    "PLN",
    "CZK",
    "INR",
    "CNY",
    "RUB",
    "BRL",
    "DKK",
    "NOK",
    "AUD",
    "MXN",
)
_SYMBOLS = ("EUR", "USD", "GBP", "JPY")
_UNITS = (
    "length-kilometer",
    "length-meter",
    "length-centimeter",
    "length-mile",
    "length-foot",
    "length-inch",
    "mass-kilogram",
    "mass-gram",
    "mass-tonne",
    "mass-pound",
    "volume-liter",
    "volume-milliliter",
    "volume-cubic-meter",
    "area-square-kilometer",
    "area-square-meter",
    "area-hectare",
    "temperature-celsius",
    "temperature-fahrenheit",
    "speed-kilometer-per-hour",
    "speed-meter-per-second",
    "speed-mile-per-hour",
    "power-kilowatt",
    "power-watt",
    "energy-kilowatt-hour",
    "energy-kilocalorie",
    "digital-gigabyte",
    "digital-megabyte",
    "digital-byte",
    "frequency-hertz",
    "electric-volt",
    "electric-ampere",
    "angle-degree",
    "pressure-bar",
    "length-light-year",
)
_DURATIONS = ("year", "month", "week", "day", "hour", "minute", "second")
_SECONDS = {
    "year": 31_536_000,
    "month": 2_592_000,
    "week": 604_800,
    "day": 86_400,
    "hour": 3600,
    "minute": 60,
    "second": 1,
}
_MOST = {"year": 200, "month": 36, "week": 60, "day": 400, "hour": 100, "minute": 100, "second": 100}


def currency(rng: random.Random, both: Both) -> Said:
    """An amount with the name of its currency, in digits or words."""
    code = rng.choice(_CURRENCIES)
    return _counted(both, _draw(rng), rng, lambda language, number: _money(language, number, code))


def price(rng: random.Random, both: Both) -> Said:
    """An amount with the sign of its currency."""
    code, number = rng.choice(_SYMBOLS), below(rng, (1000, 1), (100_000, 2)) / rng.choice((1, 100))

    def say(language: Language) -> Segments:
        text = format_currency(number, code, locale=language.locale)
        start = next(i for i, c in enumerate(text) if c.isdigit())
        end = len(text) - next(i for i, c in enumerate(reversed(text)) if c.isdigit())
        return around(text, text[start:end], Segment(text[start:end], "number"), "currency")

    return say(both[0]), say(both[1])


def unit(rng: random.Random, both: Both) -> Said:
    """A measured amount, with the unit's name or sign, in digits or words."""
    length: Literal["long", "short"] = rng.choice(("long", "long", "short"))
    name = rng.choice(_known(both, _UNITS))
    if length == "short" or rng.random() < 0.2:  # an amount such as 2.5, which is not counted in words
        number = below(rng, (1000, 1), (10_000, 1)) / rng.choice((1, 10))
        return _in_digits(both, number, lambda language, n: _measure(language, n, name, length))
    return _counted(both, _draw(rng), rng, lambda language, n: _measure(language, n, name, "long"))


def duration(rng: random.Random, both: Both) -> Said:
    """A span of time in one unit."""
    name = rng.choice(_known(both, tuple(f"duration-{name}" for name in _DURATIONS)))
    number = rng.randrange(1, _MOST[name.removeprefix("duration-")])
    return _counted(both, number, rng, lambda language, n: _measure(language, n, name, "long"))


def relative(rng: random.Random, both: Both) -> Said:
    """A time seen from now: "3 days ago", "in 2 weeks"."""
    name, sign = rng.choice(_DURATIONS), rng.choice((1, -1))

    def say(language: Language, number: float) -> str:
        delta = dt.timedelta(seconds=sign * number * _SECONDS[name])
        return format_timedelta(delta, name, threshold=1e9, add_direction=True, locale=language.locale)

    return _counted(both, rng.randrange(1, _MOST[name]), rng, say)


def _measure(language: Language, number: float, name: str, length: Literal["long", "short"]) -> str:
    """Return ``number`` of the unit; without a long form CLDR means the short one, where babel shows the unit's key."""
    text = format_unit(number, name, length, locale=language.locale)
    return format_unit(number, name, "short", locale=language.locale) if name in text else text


@functools.cache
def _known(both: Both, names: tuple[str, ...]) -> list[str]:
    """Return the units for which both languages have a word or a sign."""
    return [
        name for name in names if not any(name in _measure(one, n, name, "long") for one in both for n in (1, 2, 5))
    ]


def _draw(rng: random.Random) -> int:
    return below(rng, (20, 2), (100, 3), (1000, 2)) + 1


def _money(language: Language, number: float, code: str) -> str:
    return format_currency(number, code, "#,##0.##", locale=language.locale, currency_digits=False, format_type="name")


def _counted(both: Both, number: int, rng: random.Random, say: Callable[[Language, float], str]) -> Said:
    """Say a whole ``number`` of something, half the time in words.

    Not in words where it ends in 1: in many languages that word changes with the noun ("eins" but "ein Euro").
    """
    if number % 10 == 1 or rng.random() < 0.5:
        return _in_digits(both, number, say)
    source, target = (
        around(say(language, number), decimal(language, number), Segment(language.say(number), "number"), "unit")
        for language in both
    )
    return source, target


def _in_digits(both: Both, number: float, say: Callable[[Language, float], str]) -> Said:
    texts = [(say(language, number), decimal(language, number)) for language in both]
    source, target = (around(text, numeral, Segment(numeral, "number"), "unit") for text, numeral in texts)
    return source, target
