"""Two variants without common seeds: permutation of labels (Fisher, Pitman 1937), and Welch's interval.

If two variants are equal, each figure could as well belong to the other. The test tries every way to deal the figures to
the two variants; p is the share whose Welch t is at least as far from zero. It is exact for equal variants, and the
studentized statistic keeps it near its level where only their noise differs (Janssen 1997).
"""

import math
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from attncompare.compare.statistics.chance import EXACT_LIMIT, generator
from attncompare.compare.statistics.results import LEVEL, Interval


def permutation_p(first_XN: NDArray[np.float64], second_XM: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two-sided p (X,) of rows of N figures against rows of M figures, two each at least."""
    pooled_XT = np.concatenate([first_XN, second_XM], axis=1)
    pooled_XT = pooled_XT - pooled_XT.mean(1, keepdims=True)
    scale_X1 = np.abs(pooled_XT).max(1, keepdims=True)
    pooled_XT = pooled_XT / np.where(scale_X1 > 0, scale_X1, 1.0)
    n, m = first_XN.shape[1], second_XM.shape[1]
    dealt_CT = _deals(n, m)
    mean_XC, variance_XC = _moments(pooled_XT, dealt_CT, n)
    other_mean_XC, other_variance_XC = _moments(pooled_XT, 1 - dealt_CT, m)
    # The small number keeps the order where both groups are constant.
    square_XC = (mean_XC - other_mean_XC) ** 2 / (variance_XC / n + other_variance_XC / m + 1e-12)
    shares: NDArray[np.float64] = (square_XC >= square_XC[:, :1] * (1 - 1e-9)).mean(1)
    return shares


def smallest_permutation_p(n: int, m: int) -> float:
    """Return the smallest p that groups of ``n`` and ``m`` can reach; equal groups can change places, which counts too."""
    return (2 if n == m else 1) / math.comb(n + m, n) if is_exact(n, m) else 1 / EXACT_LIMIT


def is_exact(n: int, m: int) -> bool:
    """Whether every way to deal is tried."""
    return math.comb(n + m, n) <= EXACT_LIMIT


def welch_interval(first: NDArray[np.float64], second: NDArray[np.float64]) -> Interval:
    """Return Welch's interval of the difference of two means, of two figures each at least."""
    from scipy.special import stdtrit

    parts = [float(group.var(ddof=1)) / len(group) for group in (first, second)]
    mean, variance = float(first.mean() - second.mean()), sum(parts)
    if variance == 0:
        return Interval(mean, mean, LEVEL, "Welch")
    freedom = variance**2 / sum(part**2 / (len(group) - 1) for part, group in zip(parts, (first, second), strict=True))
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(variance)
    return Interval(mean - half, mean + half, LEVEL, "Welch")


@lru_cache(maxsize=4)
def _deals(n: int, m: int) -> NDArray[np.float64]:
    """Return ways to deal n + m figures (deals, n + m): 1 for those of the first group; the observed way first."""
    if is_exact(n, m):
        chosen = np.array(list(combinations(range(n + m), n)))
    else:
        rows = np.tile(np.arange(n + m), (EXACT_LIMIT, 1))
        rows[1:] = generator().permuted(rows[1:], axis=1)
        chosen = rows[:, :n]
    dealt = np.zeros((len(chosen), n + m))
    np.put_along_axis(dealt, chosen, 1.0, axis=1)
    return dealt


def _moments(
    values_XT: NDArray[np.float64], dealt_CT: NDArray[np.float64], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance (X, C) of the ``n`` dealt values."""
    mean = values_XT @ dealt_CT.T / n
    variance = ((values_XT**2) @ dealt_CT.T - n * mean**2) / (n - 1)
    return mean, np.maximum(variance, 0.0)
