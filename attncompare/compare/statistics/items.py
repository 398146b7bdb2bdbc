"""Two variants on the same test items: paired bootstrap (Koehn 2004) and approximate randomization (Riezler and Maxwell
2005), stratified over seeds.

Each metric is a function of sums over test items, so any number of resampled test sets is a matrix product. An item is
drawn, or changes sides, together with its figures by all seeds. The interval takes Hesterberg's (2015) expanded percentiles.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from attncompare.compare.statistics.results import LEVEL, RESAMPLES, Interval, ItemTest, generator
from attncompare.compare.statistics.seeds import Floats
from attncompare.errors import Refused

if TYPE_CHECKING:
    from attncompare.tasks.metrics import Metric

FEWEST_ITEMS = 20
"""Below this a resampled test set is too much like the observed one to say anything."""
MOST_ITEMS = 20_000
"""With more, the resamples would take more memory than they tell."""


@dataclass(frozen=True, eq=False)
class Items:
    """One run's test items in one metric: their ``ids``, and ``sums_NF``, of which the sum over items gives the figure."""

    metric: "type[Metric]"
    ids: tuple[int, ...]
    sums_NF: Floats

    def value(self, sums: Floats) -> Floats:
        """Return the metric (...) of summed items (..., F); NaN where there is nothing to divide by."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.metric.value(sums)

    @cached_property
    def resampled(self) -> Floats:
        """Sums (R, F) over items drawn with replacement, the same draws for every run."""
        return _plan(len(self.ids))[0].astype(np.float64) @ self.sums_NF

    @cached_property
    def halves(self) -> Floats:
        """Sums (R, F) over a random half of the items, the same halves for every run."""
        return _plan(len(self.ids))[1].astype(np.float64) @ self.sums_NF


def read_items(metric: "type[Metric]", rows: Sequence[Mapping[str, Any]]) -> Items | None:
    """Return the items of ``rows`` of a record that the metric counts, as not all metrics count every item.

    None if there are none, or if one of them has no finite sums of the metric.
    """
    counted = [row for row in rows if metric.name in row]
    sums = [row[metric.name] for row in counted]
    if (
        not counted
        or not metric.sums
        or not all(isinstance(one, list) and len(one) == len(metric.sums) for one in sums)
    ):
        return None
    sums_NF = np.array(sums, dtype=np.float64)
    if not np.isfinite(sums_NF).all():
        return None
    return Items(metric, tuple(row["id"] for row in counted), sums_NF)


def item_test(first: Mapping[int, Items], second: Mapping[int, Items]) -> ItemTest | None:
    """Test the difference of two variants over test items, seed -> items; None if there are fewer than 20, or no seeds.

    Common seeds are paired; without any, seeds in ascending order are. What has no partner is left out, and ``method``
    says how many seeds were used.

    Raises:
        Refused: if the runs were tested on different items.
    """
    common = sorted(set(first) & set(second))
    pairs = [(first[seed], second[seed]) for seed in common] or [
        (first[one], second[other]) for one, other in zip(sorted(first), sorted(second), strict=False)
    ]
    if not pairs:
        return None
    items = pairs[0][0]
    if any(one.ids != items.ids for pair in pairs for one in pair):
        raise Refused("the runs were tested on different items; compare runs with the same test set")
    count = len(items.ids)
    if count < FEWEST_ITEMS:
        return None

    def mean_gap(sums: list[tuple[Floats, Floats]]) -> Floats:
        """Return the mean over seeds of first minus second, of the sums (..., F) of each."""
        mean: Floats = np.array([items.value(one) - items.value(other) for one, other in sums]).mean(0)
        return mean

    whole = [(a.sums_NF.sum(0), b.sums_NF.sum(0)) for a, b in pairs]
    observed = float(mean_gap(whole))
    drawn_R = mean_gap([(a.resampled, b.resampled) for a, b in pairs])
    # The share of resamples beyond each end of the interval.
    tail = float(ndtr(math.sqrt(count / (count - 1)) * stdtrit(count - 1, (1 - LEVEL) / 2)))
    low, high = np.quantile(drawn_R, [tail, 1 - tail])
    moved = [b.halves - a.halves for a, b in pairs]  # a random half of the items changes sides
    swapped_R = mean_gap([(a + half, b - half) for (a, b), half in zip(whole, moved, strict=True)])
    extreme = int((np.abs(swapped_R) >= abs(observed) - 1e-9 * max(1.0, abs(observed))).sum())
    method = f"paired bootstrap and approximate randomization, {RESAMPLES} resamples, seeds: {len(pairs)}"
    interval = Interval(float(low), float(high), LEVEL, "bootstrap, expanded percentiles")
    sd = float(drawn_R.std(ddof=1)) * math.sqrt(count / (count - 1))
    return ItemTest(observed, interval, (1 + extreme) / (1 + RESAMPLES), count, method, sd)


@lru_cache(maxsize=2)
def _plan(items: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return how often each item stands in each resample, and which half each belongs to (both R, N)."""
    random = generator()
    drawn = random.multinomial(items, np.full(items, 1 / items), size=RESAMPLES).astype(np.uint16)
    return drawn, random.integers(0, 2, size=(RESAMPLES, items)).astype(np.uint16)
