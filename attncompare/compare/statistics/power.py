"""About how many more seeds would decide a difference, if the observed effect is the true one.

The smallest n at which the exact test can reach the level at all, and at which a t-test at that level would find the
effect with a probability of 0.8 (noncentral t; Cohen 1988). An estimate from few seeds is rough: "about" is meant.
"""

import math
from bisect import bisect_left

from attncompare.compare.statistics import paired, unpaired
from attncompare.compare.statistics.results import ALPHA, Difference

WANTED_POWER = 0.8
MOST_SEEDS = 200
FEWEST_TO_SAY = 3  # the spread of two differences says next to nothing


def more_seeds(difference: Difference, comparisons: float = 1.0, blocks: int = 1) -> int | None:
    """Return how many further seeds (of each variant) would decide ``difference``, or None where it cannot be said.

    Args:
        difference: one that is not decided.
        comparisons: to how many independent ones the family amounts; the level of the t-test is divided by it.
        blocks: by what the family multiplies every p, of however many seeds.
    """
    effect = difference.effect_size
    if effect is None and difference.mean != 0:
        effect = math.inf  # no spread: only the number of seeds is missing
    if difference.p is None or effect is None or difference.n < FEWEST_TO_SAY:
        return None

    def enough(seeds: int) -> bool:
        reachable = smallest_p(seeds, difference.paired) * blocks <= ALPHA
        return reachable and power(effect, seeds, difference.paired, ALPHA / comparisons) >= WANTED_POWER

    candidates = range(difference.n + 1, MOST_SEEDS + 1)
    place = bisect_left(candidates, True, key=enough)  # both conditions, once true, stay true
    return candidates[place] - difference.n if place < len(candidates) else None


def power(effect: float, n: int, is_paired: bool, level: float) -> float:
    """Return the probability that a two-sided t-test of ``n`` seeds (each) at ``level`` finds the effect."""
    from scipy.special import nctdtr, stdtrit

    freedom = n - 1 if is_paired else 2 * n - 2
    shift = abs(effect) * math.sqrt(n if is_paired else n / 2)
    threshold = float(stdtrit(freedom, 1 - level / 2))
    if shift > 5 + 2 * threshold:  # certain to four digits, and where the library's noncentral t overflows
        return 1.0
    # The other tail adds nothing at the power that is asked for.
    return 1.0 - float(nctdtr(freedom, shift, threshold))


def smallest_p(n: int, is_paired: bool) -> float:
    """Return the smallest p that the exact test of ``n`` seeds (each) can reach."""
    return paired.smallest_sign_flip_p(n) if is_paired else unpaired.smallest_permutation_p(n, n)
