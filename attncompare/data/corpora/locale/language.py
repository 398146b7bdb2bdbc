"""One language: its CLDR locale and its spoken numbers; and text that knows its fields."""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from babel import Locale, localedata
from num2words import CONVERTER_CLASSES, num2words

from attncompare.errors import Refused
from attncompare.registry import unknown

KINDS = ("cardinal", "ordinal", "year")
# CLDR sets several kinds of narrow and no-break space; a plain one, also one character, keeps the vocabulary small.
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u2009\u202f", " "))
_SLOT = re.compile(r"\{(\d)\}")
_WORDS = re.compile(r"\w+(?: \w+)*")


class Language:
    """What the makers of phrases need to know of a locale such as ``de`` or ``pt_BR``.

    Args:
        code: a locale of CLDR.
        key: the config key it stands under, for the message.

    Raises:
        Refused: if CLDR does not know the locale or num2words cannot spell its numbers.
    """

    def __init__(self, code: str, key: str) -> None:
        name = code.replace("-", "_")
        spoken = _spoken(name)
        if spoken is None or not localedata.exists(name):
            raise Refused(f"{key}: {unknown('locale', code, languages())}, or one of these with a territory (pt_BR)")
        self.locale = Locale.parse(name)
        self.code = str(self.locale)
        self._spoken = spoken
        self.kinds = frozenset(kind for kind in KINDS if _can_say(spoken, kind))

    @functools.cache  # noqa: B019  (two objects a process, and the corpus asks for the same few thousand numbers)
    def say(self, number: int, kind: str = "cardinal") -> str:
        """Return ``number`` in words; ``kind`` is one of :attr:`kinds`."""
        return num2words(number, lang=self._spoken, to=kind).strip()


Both = tuple[Language, Language]  # source, target


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
