"""What the statistics give: plain values from which table, sentences and page are written."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

ALPHA = 0.05
"""How often a comparison without real differences may decide one, all its looks at growing seeds taken together."""
FIRST_LEVEL = 0.04
"""The level of the first look."""
SEEDS = 8
"""How many seeds to begin with: six decide only what all of them agree on."""
LEVEL = 0.95
"""The coverage that every interval aims at."""
EXACT_LIMIT = 2**16
"""Up to so many rearrangements all are tried; beyond, this many are drawn, the observed one among them."""
RESAMPLES = 1000
"""Resamples of test items, as in Koehn (2004)."""


def level_after(spent: Sequence[float]) -> float:
    """Return at or below which corrected p a look decides, after earlier ones that have ``spent`` so much of ALPHA.

    Looks at more and more seeds are further chances to err, so ALPHA is spent over them (Lan and DeMets 1983): 0.04 at the
    first, and half of what is left at each further one, however many there are.
    """
    return (ALPHA - sum(spent)) / 2 if spent else FIRST_LEVEL


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

    def within(self, least: float | None, most: float | None) -> "Interval":
        """Return the interval without what is below ``least`` or above ``most``, which cannot be."""
        low, high = (
            min(max(end, -math.inf if least is None else least), math.inf if most is None else most)
            for end in (self.low, self.high)
        )
        return replace(self, low=low, high=high)


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

    It says nothing of other seeds: two seeds of one variant differ by it too. ``mean`` is first minus second, ``sd`` the
    standard deviation of it over resampled test sets.
    """

    mean: float
    interval: Interval
    p: float
    items: int
    method: str
    sd: float


@dataclass(frozen=True)
class Difference:
    """First minus second, of one pair of variants in one metric, in the metric's own unit.

    Attributes:
        mean: of the seeds; where ranks are tested, the median over pairs of seeds (or of all pairs of figures), which may
            be infinite.
        n: number of pairs of seeds, or of seeds in the smaller group.
        paired: whether the seeds are pairs.
        sign: 1 where first has the larger figures, -1 where the second has, 0 where neither.
        ranks: whether ranks are tested instead of the figures: a seed diverged or collapsed.
        p: exact two-sided test over seeds, of this pair alone.
        smallest_p: the smallest p that so many seeds can reach.
        interval: of the mean, for all comparisons of the family at once; where p can decide and seeds are pairs, it holds
            0 exactly where the difference is not decided. Before the correction, of this pair alone.
        interval_items: of the mean, over seeds and test items together, of this pair alone.
        p_family: p, corrected for all comparisons by joint sign flips: this one decides.
        p_holm: p, corrected for all comparisons by Holm.
        level: at or below which p_family decides.
        effect_size: paired: d_z, mean over standard deviation of the differences; unpaired: Cohen's d, over the pooled
            standard deviation; both with Hedges' correction for few seeds.
        superiority: the probability that a further seed of first has the larger figure than the same seed of second (ties
            count half), with its exact interval; unpaired seeds are taken in ascending order.
        more_seeds: from how many to how many further seeds would probably decide it; None if decided, or unknown.
        by_seed: paired: what is tested of each seed, the difference or its signed rank.
        groups: unpaired: the figures or ranks of both that are tested.

    One seed gives ``mean`` alone; all other figures are None.
    """

    mean: float
    n: int
    paired: bool
    sign: int = 0
    ranks: bool = False
    p: float | None = None
    smallest_p: float | None = None
    interval: Interval | None = None
    interval_items: Interval | None = None
    p_family: float | None = None
    p_holm: float | None = None
    level: float = FIRST_LEVEL
    effect_size: float | None = None
    superiority: tuple[float, Interval] | None = None
    items: ItemTest | None = None
    more_seeds: tuple[int, int] | None = None
    by_seed: Mapping[int, float] = field(default_factory=dict)
    groups: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    test: str | None = None

    @property
    def decided(self) -> bool:
        """Whether the difference holds after correction for all comparisons and looks; never from one seed."""
        return self.p_family is not None and self.p_family <= self.level

    def within(self, margin: float) -> bool:
        """Return whether no difference larger than ``margin`` is compatible with the figures, of whichever sign.

        Two one-sided tests (Schuirmann 1987), as the inclusion of the interval in the margin.
        """
        return self.interval is not None and -margin < self.interval.low and self.interval.high < margin
