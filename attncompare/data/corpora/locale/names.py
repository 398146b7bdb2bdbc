"""Names of languages and territories."""

import functools
import random

from attncompare.data.corpora.locale.language import Both
from attncompare.data.corpora.locale.segments import Said, Segment, fill


def language(rng: random.Random, both: Both) -> Said:
    """The name of a language."""
    return _named(both, rng.choice(_codes(both, "languages")), "languages")


def territory(rng: random.Random, both: Both) -> Said:
    """The name of a country or territory."""
    return _named(both, rng.choice(_codes(both, "territories")), "territories")


def variety(rng: random.Random, both: Both) -> Said:
    """A language as it is spoken somewhere: "German (Austria)"."""
    spoken, place = language(rng, both), territory(rng, both)
    source, target = (fill("{0} ({1})", (what, where), "variety") for what, where in zip(spoken, place, strict=True))
    return source, target


def _named(both: Both, code: str, table: str) -> Said:
    source, target = ([Segment(getattr(one.locale, table)[code], table)] for one in both)
    return source, target


@functools.cache
def _codes(both: Both, table: str) -> list[str]:
    """Return the two-letter codes that both languages name (longer ones are regions and rare languages)."""
    known = (set(getattr(one.locale, table)) for one in both)
    return sorted(code for code in set.intersection(*known) if len(code) == 2)
