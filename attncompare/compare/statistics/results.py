"""What the statistics give: plain values that the table, the sentences and the page are written from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ALPHA = 0.05
"""A difference is decided at or below this corrected p."""
LEVEL = 0.95
"""Every interval is meant to hold the true value this often."""

Unit = Literal["sentence", "document"]


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
    figure is not finite: the mean of a diverged run is shown, nothing is claimed of it.
    """

    mean: float
    sd: float | None
    interval: Interval | None
    n: int


@dataclass(frozen=True)
class SentenceTest:
    """Two variants on the same test items, with their seeds as they are: what other sentences could have changed.

    It says nothing of other seeds: two seeds of one variant differ by it too. ``mean`` is first minus second.
    """

    mean: float
    interval: Interval
    p: float
    unit: Unit
    units: int
    method: str


@dataclass(frozen=True)
class Difference:
    """First minus second, of one pair of variants in one metric, in the metric's own unit.

    Attributes:
        mean: difference of the means; not a finite number where a run diverged.
        interval: of the mean, over seeds: Student's t for pairs, Welch's without.
        n: number of pairs of seeds, or of seeds in the smaller group.
        paired: whether each pair shares its seed.
        p: exact two-sided test over seeds, of this pair alone.
        smallest_p: the smallest p that so many seeds can reach.
        p_holm: p, corrected for all comparisons by Holm.
        effect_size: paired: d_z, mean over standard deviation of the differences; unpaired: Cohen's d, over the pooled
            standard deviation; both with Hedges' correction for few seeds.
        probability_of_improvement: that a seed of the first is better than a seed of the second; 0.5 is a tie.
        sentences: the test over test items.
        more_seeds: about how many further seeds would decide it; None if decided, or if it cannot be said.
        p_family: p, corrected for all comparisons by joint sign flips: this one decides.
        by_seed: paired: the difference of each seed.
        test: how ``p`` was made.
        untestable: why the figures cannot be tested, of however many seeds.

    One seed gives ``mean`` alone; all other figures are None.
    """

    mean: float
    interval: Interval | None
    n: int
    paired: bool
    p: float | None
    smallest_p: float | None
    p_holm: float | None
    effect_size: float | None
    probability_of_improvement: float | None
    sentences: SentenceTest | None
    more_seeds: int | None
    p_family: float | None = None
    by_seed: Mapping[int, float] = field(default_factory=dict)
    test: str | None = None
    untestable: str | None = None

    @property
    def decided(self) -> bool:
        """Whether the difference holds after correction for all comparisons; never from one seed."""
        return self.p_family is not None and self.p_family <= ALPHA
