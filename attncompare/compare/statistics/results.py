"""What the statistics give: plain values from which table, sentences and page are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

ALPHA = 0.05
"""A difference is decided at or below this corrected p."""
LEVEL = 0.95
"""The coverage that every interval aims at."""
EXACT_LIMIT = 2**16
"""Up to so many rearrangements all are tried; beyond, this many are drawn, the observed one among them."""
RESAMPLES = 1000
"""Resamples of test items, as in Koehn (2004)."""


def generator() -> np.random.Generator:
    """Return a new generator, always from the same seed: the same runs always give the same figures."""
    return np.random.default_rng(1409)


@dataclass(frozen=True)
class Interval:
    """A confidence interval; ``method`` names how it was made."""

    low: float
    high: float
    level: float = LEVEL
    method: str = "t"


@dataclass(frozen=True)
class Estimate:
    """One variant in one metric over its ``n`` seeds.

    ``sd`` (of the seeds, n - 1 in the denominator) and ``interval`` (of the mean) are None for one seed, and where a
    figure is NaN or infinite.
    """

    mean: float
    sd: float | None
    interval: Interval | None
    n: int


@dataclass(frozen=True)
class ItemTest:
    """Two variants on the same ``items`` test items, with their seeds as they are: what another test set could change.

    It says nothing of other seeds: two seeds of one variant differ by it too. ``mean`` is first minus second.
    """

    mean: float
    interval: Interval
    p: float
    items: int
    method: str


@dataclass(frozen=True)
class Difference:
    """First minus second, of one pair of variants in one metric, in the metric's own unit.

    Attributes:
        interval: of the mean, over seeds: Student's t for pairs, Welch's otherwise.
        n: number of pairs of seeds, or of seeds in the smaller group.
        p: exact two-sided test over seeds, of this pair alone.
        smallest_p: the smallest p that so many seeds can reach.
        p_holm: p, corrected for all comparisons by Holm.
        effect_size: paired: d_z, mean over standard deviation of the differences; unpaired: Cohen's d, over the pooled
            standard deviation; both with Hedges' correction for few seeds.
        more_seeds: about how many further seeds would decide it; None if decided, or if it cannot be said.
        p_family: p, corrected for all comparisons by joint sign flips: this one decides.
        by_seed: paired: the difference of each seed.
        untestable: why the figures cannot be tested, of however many seeds.

    One seed gives ``mean`` alone; all other figures are None.
    """

    mean: float
    interval: Interval | None
    n: int
    paired: bool
    p: float | None = None
    smallest_p: float | None = None
    p_holm: float | None = None
    effect_size: float | None = None
    items: ItemTest | None = None
    more_seeds: int | None = None
    p_family: float | None = None
    by_seed: Mapping[int, float] = field(default_factory=dict)
    test: str | None = None
    untestable: str | None = None

    @property
    def decided(self) -> bool:
        """Whether the difference holds after correction for all comparisons; never from one seed."""
        return self.p_family is not None and self.p_family <= ALPHA
