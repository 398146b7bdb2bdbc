"""Two variants on the same test items: paired bootstrap (Koehn 2004) and approximate randomization (Riezler and Maxwell
2005), stratified over seeds.

A test sentence is drawn, or changes sides, together with its translations by all seeds: each seed keeps its weight, and
seeds that find the same sentence hard do not count as so many sentences. For language models the items are documents,
blocks of text that depend within and not between (block bootstrap), and losses are ratios of sums. The interval takes
Hesterberg's (2015) expanded percentiles, as plain ones are too narrow for few items.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from attncompare.compare.statistics.chance import RESAMPLES
from attncompare.compare.statistics.items import Items
from attncompare.compare.statistics.results import LEVEL, Interval, SentenceTest
from attncompare.compare.statistics.scores import SCORES
from attncompare.errors import Refused

FEWEST_ITEMS = 20
"""Below this a resampled test set is too much like the observed one to say anything."""


def sentence_test(first: Mapping[int, Items], second: Mapping[int, Items]) -> SentenceTest | None:
    """Test the difference of two variants over test items, seed -> items of one metric.

    Common seeds are paired; without any, seeds in ascending order are. What has no partner is left out, and ``method``
    says how many seeds were used.

    Returns:
        None if there are fewer than 20 items, or no seeds.

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
    for other in (run for pair in pairs for run in pair):
        if other.ids != items.ids or other.metric != items.metric:
            raise Refused(
                f"items of {other.metric}: a run was tested on {len(other.ids)} other items than the "
                f"{len(items.ids)} of the first run; compare runs with the same test set"
            )
    if len(items.ids) < FEWEST_ITEMS:
        return None
    observed = float(_mean_score(items.metric, [(a.features_NF.sum(0), b.features_NF.sum(0)) for a, b in pairs]))
    drawn_R = _mean_score(items.metric, [(a.resampled, b.resampled) for a, b in pairs])
    tail = _expanded_tail(len(items.ids))
    low, high = np.quantile(drawn_R, [tail, 1 - tail])
    swapped_R = _mean_score(items.metric, [_swapped(a, b) for a, b in pairs])
    extreme = int((np.abs(swapped_R) >= abs(observed) - 1e-9 * max(1.0, abs(observed))).sum())
    method = f"paired bootstrap and approximate randomization, {RESAMPLES} resamples, seeds: {len(pairs)}"
    interval = Interval(float(low), float(high), LEVEL, "bootstrap, expanded percentiles")
    return SentenceTest(observed, interval, (1 + extreme) / (1 + RESAMPLES), items.unit, len(items.ids), method)


def _expanded_tail(items: int) -> float:
    """Return the share of resamples beyond each end of the interval."""
    from scipy.special import ndtr, stdtrit

    return float(ndtr(math.sqrt(items / (items - 1)) * stdtrit(items - 1, (1 - LEVEL) / 2)))


def _mean_score(metric: str, pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Return the mean over seeds of first minus second, of the sums (..., F) of each."""
    score = SCORES[metric]
    differences = np.array([score(first) - score(second) for first, second in pairs])
    mean: NDArray[np.float64] = differences.mean(0)
    return mean


def _swapped(first: Items, second: Items) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums (R, F) of both sides after a random half of the items has changed sides."""
    moved_RF = second.halves - first.halves
    return first.features_NF.sum(0) + moved_RF, second.features_NF.sum(0) - moved_RF
