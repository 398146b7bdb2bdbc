"""Numbers: in digits, in words, as ordinals, years and percentages."""

import random

from babel.numbers import format_decimal, format_percent

from attncompare.data.corpora.locale.language import Both, Language
from attncompare.data.corpora.locale.segments import Said, Segment, around


def spelled(rng: random.Random, both: Both) -> Said:
    """A number in words, mostly below a thousand, because long ones make long strings."""
    return _in_words(both, below(rng, (100, 3), (1000, 5), (10_000, 2)) + 1, "cardinal")


def ordinal(rng: random.Random, both: Both) -> Said:
    """An ordinal in words."""
    return _in_words(both, below(rng, (100, 3), (1000, 1)) + 1, "ordinal")


def year(rng: random.Random, both: Both) -> Said:
    """A year as it is read aloud."""
    return _in_words(both, rng.randrange(1100, 2100), "year")


def digits(rng: random.Random, both: Both) -> Said:
    """A number in digits with each language's separators."""
    number = below(rng, (100, 1), (10_000, 3), (10_000_000, 3)) / rng.choice((1, 1, 10, 100))
    source, target = ([Segment(decimal(language, number), "number")] for language in both)
    return source, target


def percent(rng: random.Random, both: Both) -> Said:
    """A whole percentage in digits."""
    share = rng.randrange(1, 1000)
    source, target = (
        around(format_percent(share / 100, locale=language.locale), text, Segment(text, "number"), "percent")
        for language, text in ((language, decimal(language, share)) for language in both)
    )
    return source, target


def below(rng: random.Random, *limits: tuple[int, int]) -> int:
    """Draw a number below one of ``limits``, each given with its weight."""
    limit = rng.choices([limit for limit, _ in limits], [weight for _, weight in limits])[0]
    return rng.randrange(limit)


def decimal(language: Language, number: float) -> str:
    """Return ``number`` in digits."""
    return format_decimal(number, locale=language.locale)


def _in_words(both: Both, number: int, kind: str) -> Said:
    source, target = ([Segment(language.say(number, kind), "number")] for language in both)
    return source, target
