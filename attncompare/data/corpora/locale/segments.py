"""Text that knows its parts: segments with fields, and patterns such as ``{0} and {1}`` filled with them."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# CLDR sets several kinds of narrow and no-break space; a plain one, also one character, keeps the vocabulary small.
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u2009\u202f", " "))
_SLOT = re.compile(r"\{(\d)\}")
_WORDS = re.compile(r"\w+(?: \w+)*")


class Segment(NamedTuple):
    """A piece of text. What two languages say under one ``field`` name means the same; None: nothing by itself."""

    text: str
    field: str | None = None


Segments = list[Segment]
Said = tuple[Segments, Segments]  # the same in the source language and in the target language


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
