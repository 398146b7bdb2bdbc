"""Phrases of one to three items, in two languages at once: dates, times, numbers, amounts and names, field by field."""

import datetime as dt
import functools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from babel import Locale, localedata
from babel.dates import (
    DateTimeFormat,
    format_timedelta,
    get_date_format,
    get_datetime_format,
    get_time_format,
    tokenize_pattern,
)
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal, format_percent
from babel.units import format_unit
from num2words import CONVERTER_CLASSES, num2words

from attncompare.errors import Refused
from attncompare.registry import unknown

# CLDR sets several kinds of narrow and no-break space; a plain one, also one character, keeps the vocabulary small.
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u2009\u202f", " "))
_SLOT = re.compile(r"\{(\d)\}")
_WORDS = re.compile(r"\w+(?: \w+)*")

# The field that each letter of a CLDR pattern shows (Unicode TR 35, part 4).
_LETTERS = {
    **{"G": "era", "yY": "year", "ML": "month", "d": "day", "Eec": "weekday"},
    **{"abB": "period", "hHkK": "hour", "m": "minute", "s": "second"},
}
_FIELDS = {letter: field for letters, field in _LETTERS.items() for letter in letters}

# Names of formats and how often each is drawn. Where two names look alike in the source, only the first is used: see
# formats.
_DATES = {
    **{"full": 4, "long": 4, "yMMMd": 2, "medium": 2, "short": 2},
    **{"yMMMEd": 2, "MMMMd": 2, "MMMd": 1, "MMMEd": 1, "yMMMM": 2},
}
_TIMES = {"time short": 3, "time medium": 1, "time Hm": 1}
# A day of each month, morning and afternoon: in months with short names ("May") formats look alike that else do not.
_TRIED = [dt.datetime(2024, month, month, hour, 30, 15) for month in range(1, 13) for hour in (3, 15)]
_FIRST_DAY = dt.date(1900, 1, 1)
_DAYS = 365 * 200
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
    **{"year": (31_536_000, 200), "month": (2_592_000, 36), "week": (604_800, 60), "day": (86_400, 400)},
    **{"hour": (3600, 100), "minute": (60, 100), "second": (1, 100)},
}


class Language:
    """What the makers of phrases need to know of a locale such as ``de`` or ``pt_BR``.

    Refused if CLDR does not know the locale or num2words cannot spell its numbers; ``key`` is the config's.
    """

    def __init__(self, code: str, key: str) -> None:
        name = code.replace("-", "_")
        spoken = _spoken(name)
        if spoken is None or not localedata.exists(name):
            raise Refused(f"{key}: {unknown('locale', code, languages())}, or one of these with a territory (pt_BR)")
        self.locale = Locale.parse(name)
        self._spoken = spoken
        self.kinds = frozenset(kind for kind in ("cardinal", "ordinal", "year") if _can_say(spoken, kind))

    @functools.cache  # noqa: B019  (two objects a process, and the corpus asks for the same few thousand numbers)
    def say(self, number: int, kind: str = "cardinal") -> str:
        """Return ``number`` in words, one of :attr:`kinds`."""
        return num2words(number, lang=self._spoken, to=kind).strip()


Both = tuple[Language, Language]  # source, target


class Segment(NamedTuple):
    """A piece of text. What two languages say under one ``field`` name means the same; None: nothing by itself."""

    text: str
    field: str | None = None


Segments = list[Segment]
Said = tuple[Segments, Segments]  # the same in the source language and in the target language
Maker = Callable[[random.Random, Both], Said]
Say = Callable[[Language, float], str]


def each(both: Both, say: Callable[[Language], Segments]) -> Said:
    """Say the same in both languages."""
    return say(both[0]), say(both[1])


def fill(pattern: str, slots: Sequence[Segments], field: str) -> Segments:
    """Put ``slots`` into ``pattern``, a CLDR pattern with ``{0}``, ``{1}``, ...; its own words belong to ``field``."""
    parts = _SLOT.split(pattern)  # literal, slot number, literal, slot number, ..., literal
    filled: Segments = []
    for i, part in enumerate(parts):
        filled += slots[int(part)] if i % 2 else words(part, field)
    return filled


def words(literal: str, field: str) -> Segments:
    """Cut ``literal`` into words, which belong to ``field``, and punctuation and space, which do not."""
    found, end = [], 0
    for match in _WORDS.finditer(literal):
        found += [Segment(literal[end : match.start()]), Segment(match.group(), field)]
        end = match.end()
    return [segment for segment in (*found, Segment(literal[end:])) if segment.text]


def around(text: str, number: str, inner: Segment, field: str) -> Segments:
    """Replace ``number`` in ``text`` by ``inner``; the rest belongs to ``field``.

    Where a language says the number without a numeral (Arabic duals, for example), the whole text belongs to ``field``.
    """
    before, found, after = text.partition(number)
    if not found:
        return [Segment(text, field)]
    return [segment for segment in (Segment(before, field), inner, Segment(after, field)) if segment.text]


def prefixed(segments: Segments, prefix: str) -> Segments:
    """Put ``prefix`` before the name of every field, so that items of a phrase keep theirs apart."""
    return [Segment(text, field and f"{prefix}.{field}") for text, field in segments]


def render(segments: Segments) -> str:
    """Return the whole text."""
    return "".join(text for text, _ in segments).translate(_SPACES)


def spans(segments: Segments, numbers: Mapping[str, int]) -> list[list[int]]:
    """Return [start, end, number of the field] for every segment whose field has one, without outer space."""
    found, position = [], 0
    for text, field in segments:
        start = position + len(text) - len(text.lstrip())
        position += len(text)
        end = position - (len(text) - len(text.rstrip()))
        if field is not None and field in numbers and start < end:
            found.append([start, end, numbers[field]])
    return found


def languages() -> list[str]:
    """Return the locales that CLDR knows and num2words can spell."""
    return sorted(code for code in CONVERTER_CLASSES if localedata.exists(code) and _can_say(code, "cardinal"))


def _spoken(name: str) -> str | None:
    """Return num2words' name for the locale: with its territory, if that counts differently, or without."""
    language, *rest = name.split("_")
    candidates = (f"{language}_{rest[-1]}" if rest else language, language)
    return next((code for code in candidates if code in CONVERTER_CLASSES and _can_say(code, "cardinal")), None)


def _can_say(spoken: str, kind: str) -> bool:
    try:
        return all(num2words(number, lang=spoken, to=kind) for number in (1, 12, 30, 100, 1000, 1984))
    except (NotImplementedError, TypeError, ValueError, KeyError, IndexError, AttributeError):
        return False  # num2words has no rule for what is missing: each language fails in its own way


def phrase(rng: random.Random, both: Both) -> Said:
    """Draw a phrase; its fields carry the number of their item ("0.month", "1.number") or the name "list"."""
    count = rng.choices((1, 2, 3), (3, 5, 3))[0]
    items = [rng.choices(*_makers(both, alone=count == 1))[0](rng, both) for _ in range(count)]
    style: Literal["standard", "or"] = rng.choice(("standard", "or"))
    slots = [f"{{{i}}}" for i in range(count)]
    source, target = (
        fill(format_list(slots, style, language.locale), [prefixed(one, str(i)) for i, one in enumerate(side)], "list")
        for language, side in zip(both, zip(*items, strict=True), strict=True)
    )
    return source, target


def date(rng: random.Random, both: Both) -> Said:
    """A date in one of the formats that both languages have."""
    return said(both, _draw(rng, both, "date"), _moment(rng))


def moment(rng: random.Random, both: Both) -> Said:
    """A date with its time, in CLDR's order."""
    day, hour = date(rng, both), said(both, _draw(rng, both, "time"), _moment(rng))
    glues = (get_datetime_format("long", one.locale).replace("'", "") for one in both)
    source, target = (fill(glue, (at, on), "glue") for glue, at, on in zip(glues, hour, day, strict=True))
    return source, target


def between(rng: random.Random, both: Both) -> Said:
    """Two weekdays, months, years or times with CLDR's sign for "from ... to ..."."""
    name = rng.choice(("EEEE", "LLLL", "y", "time Hm"))
    first, last = said(both, name, _moment(rng)), said(both, name, _moment(rng))
    source, target = (
        fill(one.locale.interval_formats[None], (prefixed(a, "from"), prefixed(b, "to")), "range")
        for one, a, b in zip(both, first, last, strict=True)
    )
    return source, target


def digits(rng: random.Random, both: Both) -> Said:
    """A number in digits with each language's separators."""
    number = _below(rng, (100, 1), (10_000, 3), (10_000_000, 3)) / rng.choice((1, 1, 10, 100))
    return each(both, lambda one: [Segment(_decimal(one, number), "number")])


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

    return each(both, say)


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


def variety(rng: random.Random, both: Both) -> Said:
    """A language as it is spoken somewhere: "German (Austria)"."""
    spoken, place = _named(rng, both, "languages"), _named(rng, both, "territories")
    source, target = (fill("{0} ({1})", (what, where), "variety") for what, where in zip(spoken, place, strict=True))
    return source, target


# Kinds of items, how often each is drawn, and what makes it. Long numbers in words are rare, because they make long strings.
MAKERS: dict[str, tuple[int, Maker]] = {
    "date": (16, date),
    "time": (7, lambda rng, both: said(both, _draw(rng, both, "time"), _moment(rng))),
    "weekday": (3, lambda rng, both: said(both, "EEEE", _moment(rng))),
    "month": (3, lambda rng, both: said(both, "LLLL", _moment(rng))),
    "cardinal": (10, lambda rng, both: _in_words(both, _below(rng, (100, 3), (1000, 5), (10_000, 2)) + 1, "cardinal")),
    "ordinal": (6, lambda rng, both: _in_words(both, _below(rng, (100, 3), (1000, 1)) + 1, "ordinal")),
    "year": (4, lambda rng, both: _in_words(both, rng.randrange(1100, 2100), "year")),
    **{"digits": (4, digits), "percent": (3, percent), "currency": (10, currency), "price": (4, price)},
    **{"unit": (11, unit), "duration": (7, duration), "relative": (9, relative)},
    "language": (5, lambda rng, both: _named(rng, both, "languages")),
    "territory": (6, lambda rng, both: _named(rng, both, "territories")),
    **{"moment": (14, moment), "between": (6, between), "variety": (6, variety)},
}
_ALONE = ("moment", "between", "variety")  # long or rich enough alone


@functools.cache
def _makers(both: Both, alone: bool) -> tuple[list[Maker], list[int]]:
    """Return what both languages can say, and how often each is drawn."""
    lacking = [kind for kind in ("ordinal", "year") if not all(kind in one.kinds for one in both)]
    chosen = [made for kind, made in MAKERS.items() if kind not in lacking and (alone or kind not in _ALONE)]
    return [maker for _, maker in chosen], [weight for weight, _ in chosen]


def said(both: Both, name: str, value: dt.datetime) -> Said:
    """Say a time in the format ``name``; "PM" belongs to the hour where the other counts to 24: "3 PM" together is "15"."""

    def say(one: Language) -> Segments:
        return [
            Segment(str(part))
            if kind == "chars"
            else Segment(DateTimeFormat(value, one.locale)[part[0] * part[1]], _FIELDS[part[0]])
            for kind, part in _tokens(_pattern(one, name))
        ]

    source, target = each(both, say)
    if any(field == "period" for _, field in source) != any(field == "period" for _, field in target):
        source, target = (
            [Segment(text, "hour" if field == "period" else field) for text, field in side] for side in (source, target)
        )
    return source, target


def _moment(rng: random.Random) -> dt.datetime:
    day = _FIRST_DAY + dt.timedelta(days=rng.randrange(_DAYS))
    return dt.datetime(day.year, day.month, day.day, rng.randrange(24), rng.randrange(60), rng.randrange(60))


def _draw(rng: random.Random, both: Both, kind: str) -> str:
    names = formats(both, kind)
    return rng.choices(list(names), list(names.values()))[0]


@functools.cache
def formats(both: Both, kind: str) -> dict[str, int]:
    """Return the formats that both languages have, such that the source tells which one is meant.

    "Mar 3, 2024" could be "3. März 2024" or "03.03.2024"; a corpus with both would ask for the unknowable.
    """
    names: dict[str, int] = {}
    seen: dict[str, str] = {}
    for name, weight in (_DATES if kind == "date" else _TIMES).items():
        if all(_pattern(one, name) for one in both):
            found = {render(source): render(target) for source, target in (said(both, name, when) for when in _TRIED)}
            if all(seen.get(source, target) == target for source, target in found.items()):
                names[name] = weight
                seen |= found
    return names


@functools.cache
def _pattern(language: Language, name: str) -> str:
    """Return the pattern of a format name, a skeleton or (in one letter only) itself; empty: the language has none."""
    kind, _, rest = name.rpartition(" ")
    if rest in ("full", "long", "medium", "short"):
        get = get_time_format if kind == "time" else get_date_format
        return get(rest, language.locale).pattern
    if len(set(rest)) == 1:
        return rest
    skeleton = language.locale.datetime_skeletons.get(rest)
    return skeleton.pattern if skeleton is not None else ""


@functools.cache
def _tokens(pattern: str) -> list[tuple[str, Any]]:
    return tokenize_pattern(pattern)


def _below(rng: random.Random, *limits: tuple[int, int]) -> int:
    """Draw a number below one of ``limits``, each given with its weight."""
    return rng.randrange(rng.choices([limit for limit, _ in limits], [weight for _, weight in limits])[0])


def _amount(rng: random.Random) -> int:
    return _below(rng, (20, 2), (100, 3), (1000, 2)) + 1


def _decimal(language: Language, number: float) -> str:
    return format_decimal(number, locale=language.locale)


def _in_words(both: Both, number: int, kind: str) -> Said:
    return each(both, lambda one: [Segment(one.say(number, kind), "number")])


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
    return each(
        both, lambda one: around(say(one, number), _decimal(one, number), Segment(one.say(number), "number"), "unit")
    )


def _in_digits(both: Both, number: float, say: Say, field: str = "unit") -> Said:
    def in_one(one: Language) -> Segments:
        text = _decimal(one, number)
        return around(say(one, number), text, Segment(text, "number"), field)

    return each(both, in_one)


def _named(rng: random.Random, both: Both, table: str) -> Said:
    code = rng.choice(_codes(both, table))
    return each(both, lambda one: [Segment(getattr(one.locale, table)[code], table)])


@functools.cache
def _codes(both: Both, table: str) -> list[str]:
    """Return the two-letter codes that both languages name (longer ones are regions and rare languages)."""
    known = (set(getattr(one.locale, table)) for one in both)
    return sorted(code for code in set.intersection(*known) if len(code) == 2)
