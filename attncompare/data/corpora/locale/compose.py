"""Phrases of one to three items, in both languages at once."""

import functools
import random
from collections.abc import Callable

from babel.lists import format_list

from attncompare.data.corpora.locale import dates, names, numbers, units
from attncompare.data.corpora.locale.language import Both, Language
from attncompare.data.corpora.locale.segments import Said, fill, prefixed

Maker = Callable[[random.Random, Both], Said]

# How often each kind of item is drawn. Those in the first table stand in lists too; the second are long or rich enough
# alone.
_ITEMS: dict[Maker, int] = {
    dates.date: 16,
    dates.time: 7,
    dates.weekday: 3,
    dates.month: 3,
    numbers.spelled: 10,
    numbers.ordinal: 6,
    numbers.year: 4,
    numbers.digits: 4,
    numbers.percent: 3,
    units.currency: 10,
    units.price: 4,
    units.unit: 11,
    units.duration: 7,
    units.relative: 9,
    names.language: 5,
    names.territory: 6,
}
_ALONE: dict[Maker, int] = {dates.moment: 14, dates.between: 6, names.variety: 6}
_LENGTHS = {1: 3, 2: 5, 3: 3}
_STYLES = ("standard", "or")


def phrase(rng: random.Random, both: Both) -> Said:
    """Draw a phrase; its fields carry the number of their item ("0.month", "1.number") or the name "list"."""
    count = rng.choices(list(_LENGTHS), list(_LENGTHS.values()))[0]
    makers = _makers(both, alone=count == 1)
    items = [rng.choices(list(makers), list(makers.values()))[0](rng, both) for _ in range(count)]
    style = rng.choice(_STYLES)
    source, target = (
        fill(_list(language, style, count), [prefixed(item[side], str(i)) for i, item in enumerate(items)], "list")
        for side, language in enumerate(both)
    )
    return source, target


@functools.cache
def _makers(both: Both, alone: bool) -> dict[Maker, int]:
    """Return what both languages can say."""
    makers = _ITEMS | _ALONE if alone else dict(_ITEMS)
    for kind, maker in {"ordinal": numbers.ordinal, "year": numbers.year}.items():
        if not all(kind in language.kinds for language in both):
            del makers[maker]
    return makers


@functools.cache
def _list(language: Language, style: str, count: int) -> str:
    """Return CLDR's pattern for a list of ``count`` items, with slots {0}, {1}, ..."""
    return format_list([f"{{{i}}}" for i in range(count)], style, language.locale)
