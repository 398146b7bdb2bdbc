"""Holm's (1979) correction: of any tests, however they depend on each other.

The smallest p is multiplied by the number of comparisons, the next by one less, and so on. With a smallest p of 2/2**n,
six seeds and ten comparisons cannot get below 0.31; family.py has the correction that can.
"""

from collections.abc import Sequence
from dataclasses import replace

from attncompare.compare.statistics.results import Difference


def holm(differences: Sequence[Difference]) -> list[Difference]:
    """Return ``differences`` with ``p_holm``; those without a p are no part of the family."""
    tested = [place for place, difference in enumerate(differences) if difference.p is not None]
    adjusted = holm_p([differences[place].p or 0.0 for place in tested])
    corrected = list(differences)
    for place, p in zip(tested, adjusted, strict=True):
        corrected[place] = replace(differences[place], p_holm=p)
    return corrected


def holm_p(ps: Sequence[float]) -> list[float]:
    """Return ``ps`` adjusted by Holm, in the given order, each 1 at most."""
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        largest = max(largest, min(1.0, ps[place] * (len(ps) - rank)))
        adjusted[place] = largest
    return adjusted
