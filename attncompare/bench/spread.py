"""The middle of repeated measurements and how far they spread: medians and quartiles, which outliers do not move."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of ``count`` measurements."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Return median and quartiles (by linear interpolation, both ends included) of one measurement or more."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))


def paired_ratio(values: Sequence[float], base: Sequence[float]) -> Spread:
    """Return the spread of ``value / base`` round by round: what slowed a whole round down cancels out."""
    return spread([value / other for value, other in zip(values, base, strict=True)])
