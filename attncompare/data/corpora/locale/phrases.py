"""Phrases of one to three items, in both languages at once: dates, numbers, amounts and names."""

import datetime as dt
import functools
import random
from collections.abc import Callable
from typing import Literal

from babel.dates import format_timedelta
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal, format_percent
from babel.units import format_unit

from attncompare.data.corpora.locale import dates
from attncompare.data.corpora.locale.language import Both, Language, Said, Segment, Segments, around, fill, prefixed

Maker = Callable[[random.Random, Both], Said]
Say = Callable[[Language, float], str]

_SYMBOLS = ("EUR", "USD", "GBP", "JPY")
_CURRENCIES = (*_SYMBOLS, "CHF", "SEK", "PLN", "CZK", "INR", "CNY", "RUB", "BRL", "DKK", "NOK", "AUD", "MXN")
_UNITS = (
    *("length-kilometer", "length-meter", "length-centimeter", "length-mile", "length-foot", "length-inch"),
    *("mass-kilogram", "mass-gram", "mass-tonne", "mass-pound"),
    *("volume-liter", "volume-milliliter", "volume-cubic-meter"),
    *("area-square-kilometer", "area-square-meter", "area-hectare"),
    *("temperature-celsius", "temperature-fahrenheit"),
    *("speed-kilometer-per-hour", "speed-meter-per-second", "speed-mile-per-hour"),
    *("power-kilowatt", "power-watt", "energy-kilowatt-hour", "energy-kilocalorie"),
    *("digital-gigabyte", "digital-megabyte", "digital-byte", "frequency-hertz", "electric-volt", "electric-ampere"),
    *("angle-degree", "pressure-bar", "length-light-year"),
)
# Each unit of time with its seconds, and the largest amount that is drawn.
_DURATIONS = {
    "year": (31_536_000, 200),
    "month": (2_592_000, 36),
    "week": (604_800, 60),
    "day": (86_400, 400),
    "hour": (3600, 100),
    "minute": (60, 100),
    "second": (1, 100),
}


def phrase(rng: random.Random, both: Both) -> Said:
    """Draw a phrase; its fields carry the number of their item ("0.month", "1.number") or the name "list"."""
    count = rng.choices((1, 2, 3), (3, 5, 3))[0]
    makers = _makers(both, alone=count == 1)
    items = [rng.choices(list(makers), list(makers.values()))[0](rng, both) for _ in range(count)]
    style = rng.choice(("standard", "or"))
    source, target = (
        fill(_list(language, style, count), [prefixed(item[side], str(i)) for i, item in enumerate(items)], "list")
        for side, language in enumerate(both)
    )
    return source, target


def spelled(rng: random.Random, both: Both) -> Said:
    """A number in words, mostly below a thousand, because long ones make long strings."""
    return _in_words(both, _below(rng, (100, 3), (1000, 5), (10_000, 2)) + 1, "cardinal")


def ordinal(rng: random.Random, both: Both) -> Said:
    """An ordinal in words."""
    return _in_words(both, _below(rng, (100, 3), (1000, 1)) + 1, "ordinal")


def year(rng: random.Random, both: Both) -> Said:
    """A year as it is read aloud."""
    return _in_words(both, rng.randrange(1100, 2100), "year")


def digits(rng: random.Random, both: Both) -> Said:
    """A number in digits with each language's separators."""
    number = _below(rng, (100, 1), (10_000, 3), (10_000_000, 3)) / rng.choice((1, 1, 10, 100))
    return [Segment(_decimal(both[0], number), "number")], [Segment(_decimal(both[1], number), "number")]


def percent(rng: random.Random, both: Both) -> Said:
    """A percentage in digits."""
    share = rng.randrange(1, 1000)
    return _in_digits(both, share, lambda one, n: format_percent(n / 100, locale=one.locale), "percent")


def currency(rng: random.Random, both: Both) -> Said:
    """An amount with the name of its currency, in digits or words."""
    code = rng.choice(_CURRENCIES)
    options = {"currency_digits": False, "format_type": "name"}
    return _counted(
        both, _amount(rng), rng, lambda one, n: format_currency(n, code, "#,##0.##", locale=one.locale, **options)
    )


def price(rng: random.Random, both: Both) -> Said:
    """An amount with the sign of its currency."""
    code, number = rng.choice(_SYMBOLS), _below(rng, (1000, 1), (100_000, 2)) / rng.choice((1, 100))

    def say(language: Language) -> Segments:
        text = format_currency(number, code, locale=language.locale)
        at = [place for place, character in enumerate(text) if character.isdigit()]
        numeral = text[at[0] : at[-1] + 1]
        return around(text, numeral, Segment(numeral, "number"), "currency")

    return say(both[0]), say(both[1])


def unit(rng: random.Random, both: Both) -> Said:
    """A measured amount, with the unit's name or sign, in digits or words."""
    length: Literal["long", "short"] = rng.choice(("long", "long", "short"))
    name = rng.choice(_known(both, _UNITS))
    if length == "short" or rng.random() < 0.2:  # an amount such as 2.5, which is not counted in words
        number = _below(rng, (1000, 1), (10_000, 1)) / rng.choice((1, 10))
        return _in_digits(both, number, lambda one, n: _measure(one, n, name, length))
    return _counted(both, _amount(rng), rng, lambda one, n: _measure(one, n, name, "long"))


def duration(rng: random.Random, both: Both) -> Said:
    """A span of time in one unit."""
    name = rng.choice(_known(both, tuple(f"duration-{name}" for name in _DURATIONS)))
    number = rng.randrange(1, _DURATIONS[name.removeprefix("duration-")][1])
    return _counted(both, number, rng, lambda one, n: _measure(one, n, name, "long"))


def relative(rng: random.Random, both: Both) -> Said:
    """A time seen from now: "3 days ago", "in 2 weeks"."""
    name, sign = rng.choice(list(_DURATIONS)), rng.choice((1, -1))
    seconds, most = _DURATIONS[name]

    def say(language: Language, number: float) -> str:
        delta = dt.timedelta(seconds=sign * number * seconds)
        return format_timedelta(delta, name, threshold=1e9, add_direction=True, locale=language.locale)

    return _counted(both, rng.randrange(1, most), rng, say)


def language(rng: random.Random, both: Both) -> Said:
    """The name of a language."""
    return _named(rng, both, "languages")


def territory(rng: random.Random, both: Both) -> Said:
    """The name of a country or territory."""
    return _named(rng, both, "territories")


def variety(rng: random.Random, both: Both) -> Said:
    """A language as it is spoken somewhere: "German (Austria)"."""
    spoken, place = language(rng, both), territory(rng, both)
    source, target = (fill("{0} ({1})", (what, where), "variety") for what, where in zip(spoken, place, strict=True))
    return source, target


# How often each kind of item is drawn. Those in the first table stand in lists too; the second are long or rich enough
# alone.
_ITEMS: dict[Maker, int] = {
    **{dates.date: 16, dates.time: 7, dates.weekday: 3, dates.month: 3},
    **{spelled: 10, ordinal: 6, year: 4, digits: 4, percent: 3},
    **{currency: 10, price: 4, unit: 11, duration: 7, relative: 9, language: 5, territory: 6},
}
_ALONE: dict[Maker, int] = {dates.moment: 14, dates.between: 6, variety: 6}


@functools.cache
def _makers(both: Both, alone: bool) -> dict[Maker, int]:
    """Return what both languages can say."""
    makers = _ITEMS | _ALONE if alone else dict(_ITEMS)
    for kind, maker in {"ordinal": ordinal, "year": year}.items():
        if not all(kind in one.kinds for one in both):
            del makers[maker]
    return makers


@functools.cache
def _list(language: Language, style: Literal["standard", "or"], count: int) -> str:
    """Return CLDR's pattern for a list of ``count`` items, with slots {0}, {1}, ..."""
    return format_list([f"{{{i}}}" for i in range(count)], style, language.locale)


def _below(rng: random.Random, *limits: tuple[int, int]) -> int:
    """Draw a number below one of ``limits``, each given with its weight."""
    return rng.randrange(rng.choices([limit for limit, _ in limits], [weight for _, weight in limits])[0])


def _amount(rng: random.Random) -> int:
    return _below(rng, (20, 2), (100, 3), (1000, 2)) + 1


def _decimal(language: Language, number: float) -> str:
    return format_decimal(number, locale=language.locale)


def _in_words(both: Both, number: int, kind: str) -> Said:
    return [Segment(both[0].say(number, kind), "number")], [Segment(both[1].say(number, kind), "number")]


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


def _counted(both: Both, number: int, rng: random.Random, say: Say) -> Said:
    """Say a whole ``number`` of something, half the time in words.

    Not in words where it ends in 1: in many languages that word changes with the noun ("eins" but "ein Euro").
    """
    if number % 10 == 1 or rng.random() < 0.5:
        return _in_digits(both, number, say)
    source, target = (
        around(say(one, number), _decimal(one, number), Segment(one.say(number), "number"), "unit") for one in both
    )
    return source, target


def _in_digits(both: Both, number: float, say: Say, field: str = "unit") -> Said:
    numerals = [(one, _decimal(one, number)) for one in both]
    source, target = (around(say(one, number), text, Segment(text, "number"), field) for one, text in numerals)
    return source, target


def _named(rng: random.Random, both: Both, table: str) -> Said:
    code = rng.choice(_codes(both, table))
    return [Segment(getattr(both[0].locale, table)[code], table)], [
        Segment(getattr(both[1].locale, table)[code], table)
    ]


@functools.cache
def _codes(both: Both, table: str) -> list[str]:
    """Return the two-letter codes that both languages name (longer ones are regions and rare languages)."""
    known = (set(getattr(one.locale, table)) for one in both)
    return sorted(code for code in set.intersection(*known) if len(code) == 2)
