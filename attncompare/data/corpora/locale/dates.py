"""Dates and times, field by field from CLDR's patterns."""

import datetime as dt
import functools
import random
from typing import Any

from babel.dates import DateTimeFormat, get_date_format, get_datetime_format, get_time_format, tokenize_pattern

from attncompare.data.corpora.locale.language import Both, Language, Said, Segment, Segments, fill, render

# The field that each letter of a CLDR pattern shows (Unicode TR 35, part 4).
_LETTERS = {
    **{"G": "era", "yY": "year", "ML": "month", "d": "day", "Eec": "weekday"},
    **{"abB": "period", "hHkK": "hour", "m": "minute", "s": "second"},
}
_FIELDS = {letter: field for letters, field in _LETTERS.items() for letter in letters}

# Names of formats and how often each is drawn. Where two names look alike in the source, only the first is used: see
# _formats.
_DATES = {
    "full": 4,
    "long": 4,
    "yMMMd": 2,
    "medium": 2,
    "short": 2,
    "yMMMEd": 2,
    "MMMMd": 2,
    "MMMd": 1,
    "MMMEd": 1,
    "yMMMM": 2,
}
_TIMES = {"time short": 3, "time medium": 1, "time Hm": 1}
# A day of each month, morning and afternoon: in months with short names ("May") formats look alike that else do not.
_TRIED = [dt.datetime(2024, month, month, hour, 30, 15) for month in range(1, 13) for hour in (3, 15)]
_FIRST_DAY = dt.date(1900, 1, 1)
_DAYS = 365 * 200


def date(rng: random.Random, both: Both) -> Said:
    """A date in one of the formats that both languages have."""
    return _said(both, _draw(rng, both, "date"), _moment(rng))


def time(rng: random.Random, both: Both) -> Said:
    """A time of the day, by 12 or 24 hours."""
    return _said(both, _draw(rng, both, "time"), _moment(rng))


def moment(rng: random.Random, both: Both) -> Said:
    """A date with its time, in CLDR's order."""
    day, hour = date(rng, both), time(rng, both)
    source, target = (fill(_glue(language), (at, on), "glue") for language, at, on in zip(both, hour, day, strict=True))
    return source, target


def weekday(rng: random.Random, both: Both) -> Said:
    """The name of a weekday."""
    return _said(both, "EEEE", _moment(rng))


def month(rng: random.Random, both: Both) -> Said:
    """The name of a month."""
    return _said(both, "LLLL", _moment(rng))


def between(rng: random.Random, both: Both) -> Said:
    """Two weekdays, months, years or times with CLDR's sign for "from ... to ..."."""
    name = rng.choice(("EEEE", "LLLL", "y", "time Hm"))
    first, last = _said(both, name, _moment(rng)), _said(both, name, _moment(rng))
    source, target = (
        fill(_range(language), (_tagged(a, "from"), _tagged(b, "to")), "range")
        for language, a, b in zip(both, first, last, strict=True)
    )
    return source, target


def _moment(rng: random.Random) -> dt.datetime:
    day = _FIRST_DAY + dt.timedelta(days=rng.randrange(_DAYS))
    return dt.datetime(day.year, day.month, day.day, rng.randrange(24), rng.randrange(60), rng.randrange(60))


def _draw(rng: random.Random, both: Both, kind: str) -> str:
    names = _formats(both, kind)
    return rng.choices(list(names), list(names.values()))[0]


@functools.cache
def _formats(both: Both, kind: str) -> dict[str, int]:
    """Return the formats that both languages have, such that the source tells which one is meant.

    "Mar 3, 2024" could be "3. März 2024" or "03.03.2024"; a corpus with both would ask for the unknowable.
    """
    names: dict[str, int] = {}
    seen: dict[str, str] = {}
    for name, weight in (_DATES if kind == "date" else _TIMES).items():
        if all(_pattern(language, name) for language in both):
            said = {render(source): render(target) for source, target in (_said(both, name, when) for when in _TRIED)}
            if all(seen.get(source, target) == target for source, target in said.items()):
                names[name] = weight
                seen |= said
    return names


def _said(both: Both, name: str, value: dt.datetime) -> Said:
    source, target = (_walk(language, _pattern(language, name), value) for language in both)
    return _with_periods(source, target)


def _walk(language: Language, pattern: str, value: dt.datetime) -> Segments:
    segments = []
    for kind, part in _tokens(pattern):
        if kind == "chars":
            segments.append(Segment(str(part)))
        else:
            letter, count = part
            segments.append(Segment(_show(language, letter * count, value), _FIELDS[letter]))
    return segments


def _with_periods(source: Segments, target: Segments) -> Said:
    """Let "PM" belong to the hour where the other language counts to 24: "3 PM" together is "15"."""
    if any(field == "period" for _, field in source) == any(field == "period" for _, field in target):
        return source, target
    merged = [[Segment(t, "hour" if f == "period" else f) for t, f in side] for side in (source, target)]
    return merged[0], merged[1]


def _tagged(segments: Segments, tag: str) -> Segments:
    return [Segment(text, field and f"{tag} {field}") for text, field in segments]


def _show(language: Language, field: str, value: dt.datetime) -> str:
    return DateTimeFormat(value, language.locale)[field]


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


@functools.cache
def _glue(language: Language) -> str:
    return get_datetime_format("long", language.locale).replace("'", "")


@functools.cache
def _range(language: Language) -> str:
    return language.locale.interval_formats[None]
