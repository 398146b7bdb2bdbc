"""Statistics over seeds: one variant (mean and interval), and one pair of variants (test, interval, effect, power).

A mean's interval is the bootstrap-t (Efron and Tibshirani 1993, 12.5): that of plain percentiles covers 85 % of five normal
values. Pairs with common seeds are tested by exact sign flips (Fisher 1935, 21), so that p >= 2 / 2**n; others by
permutation of labels (Pitman 1937) with Welch's t, which keeps its level where only the noise differs (Janssen 1997).
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtr, stdtrit

from attncompare.compare.statistics.results import (
    ALPHA,
    EXACT_LIMIT,
    LEVEL,
    Difference,
    Estimate,
    Interval,
    ItemTest,
    generator,
)

FEWEST_FOR_BOOTSTRAP = 5
WANTED_POWER = 0.8
MOST_SEEDS = 200
_ALL_RESAMPLES_UP_TO = 8  # 6,435 different ones
_TIE = 1e-9  # sums that differ by less, of differences scaled to 1 at most, are the same sum in another order

Floats = NDArray[np.float64]


def estimate(values: Sequence[float]) -> Estimate:
    """Return mean, standard deviation and interval of ``values``, one figure a seed, at least one."""
    figures = np.array(values, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(figures.mean())
        sd = float(figures.std(ddof=1)) if len(figures) > 1 else math.nan
    if not math.isfinite(sd):
        return Estimate(mean, None, None, len(figures))
    interval = t_interval(mean, sd, len(figures))
    if len(figures) >= FEWEST_FOR_BOOTSTRAP:
        low, high = (float(end[0]) for end in bootstrap_t(figures[None]))
        if math.isfinite(low) and math.isfinite(high):
            interval = Interval(low, high, LEVEL, "bootstrap-t")
    return Estimate(mean, sd, interval, len(figures))


def t_interval(mean: float, sd: float, n: int) -> Interval:
    """Return Student's interval of a mean of ``n`` values, two at least."""
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sd / math.sqrt(n)
    return Interval(mean - half, mean + half)


def bootstrap_t(values_XN: Floats) -> tuple[Floats, Floats]:
    """Return the ends (X,) of the bootstrap-t interval of the mean of each row of N values.

    Of up to eight values every resample counts with its exact probability; of more, a fixed random set does. An end is
    infinite where too many resamples repeat one value.
    """
    counts_RN, share_R = _resamples(values_XN.shape[1])
    n = values_XN.shape[1]
    mean_X1, sd_X1 = values_XN.mean(1, keepdims=True), values_XN.std(1, ddof=1, keepdims=True)
    units_XN = (values_XN - mean_X1) / np.where(sd_X1 > 0, sd_X1, 1.0)  # so that the figures' size plays no part
    means_XR = units_XN @ counts_RN.T / n
    errors_XR = np.sqrt(np.maximum((units_XN**2) @ counts_RN.T / n - means_XR**2, 0.0) / (n - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t_XR = np.where(errors_XR > 1e-7, means_XR / errors_XR, np.copysign(np.inf, means_XR))
    order_XR = np.argsort(t_XR, axis=1)
    reached_XR = np.cumsum(share_R[order_XR], axis=1)
    mean_X, error_X = mean_X1[:, 0], sd_X1[:, 0] / math.sqrt(n)

    def end(at: float) -> Floats:
        """Return the mean less the weighted quantile of each row, in standard errors; the mean where there is no spread."""
        place_X1 = np.take_along_axis(order_XR, (reached_XR >= at - 1e-12).argmax(1)[:, None], axis=1)
        t_X = np.take_along_axis(t_XR, place_X1, axis=1)[:, 0]
        return mean_X - np.where(error_X > 0, t_X, 0.0) * error_X

    return end((1 + LEVEL) / 2), end((1 - LEVEL) / 2)


@lru_cache
def _resamples(n: int) -> tuple[Floats, Floats]:
    """Return how often each of n values stands in each resample (R, N), and the resample's probability (R,)."""
    if n > _ALL_RESAMPLES_UP_TO:
        drawn = generator().multinomial(n, np.full(n, 1 / n), size=EXACT_LIMIT // 8)
        return drawn.astype(np.float64), np.full(len(drawn), 1 / len(drawn))
    counts = np.array([np.bincount(c, minlength=n) for c in combinations_with_replacement(range(n), n)], np.float64)
    logs = math.lgamma(n + 1) - n * math.log(n) - np.vectorize(math.lgamma)(counts + 1).sum(1)
    return counts, np.exp(logs)


@lru_cache(maxsize=4)
def sign_choices(n: int) -> Floats:
    """Return choices of signs (choices, n), the observed one first; every choice up to 16 seeds, else a random set.

    Mirror images give the same absolute mean, so one of each two is left out.
    """
    if 2**n <= EXACT_LIMIT:
        bits = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1
        return np.where(bits == 1, -1.0, 1.0)
    drawn = generator().choice([-1.0, 1.0], size=(EXACT_LIMIT, n))
    drawn[0] = 1.0
    return drawn


def sign_flip_p(differences_XN: Floats) -> Floats:
    """Return the two-sided p (X,) of each row of N differences, one a seed."""
    scale_X1 = np.abs(differences_XN).max(1, keepdims=True)
    scaled_XN = differences_XN / np.where(scale_X1 > 0, scale_X1, 1.0)
    sums_XC = np.abs(scaled_XN @ sign_choices(differences_XN.shape[1]).T)
    shares: Floats = (sums_XC >= sums_XC[:, :1] - _TIE).mean(1)
    return shares


def smallest_sign_flip_p(n: int) -> float:
    """Return the smallest p that ``n`` pairs can reach."""
    return 2.0 ** (1 - n) if 2**n <= EXACT_LIMIT else 1 / EXACT_LIMIT


def permutation_p(first_XN: Floats, second_XM: Floats) -> Floats:
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
    shares: Floats = (square_XC >= square_XC[:, :1] * (1 - 1e-9)).mean(1)
    return shares


def smallest_permutation_p(n: int, m: int) -> float:
    """Return the smallest p that groups of ``n`` and ``m`` can reach; equal groups can change places, which counts too."""
    deals = math.comb(n + m, n)
    return (2 if n == m else 1) / deals if deals <= EXACT_LIMIT else 1 / EXACT_LIMIT


def welch_interval(first: Floats, second: Floats) -> Interval:
    """Return Welch's interval of the difference of two means, of two figures each at least."""
    parts = [float(group.var(ddof=1)) / len(group) for group in (first, second)]
    mean, variance = float(first.mean() - second.mean()), sum(parts)
    if variance == 0:
        return Interval(mean, mean, LEVEL, "Welch")
    freedom = variance**2 / sum(part**2 / (len(group) - 1) for part, group in zip(parts, (first, second), strict=True))
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(variance)
    return Interval(mean - half, mean + half, LEVEL, "Welch")


@lru_cache(maxsize=4)
def _deals(n: int, m: int) -> Floats:
    """Return ways to deal n + m figures (deals, n + m): 1 for those of the first group; the observed way first."""
    if math.comb(n + m, n) <= EXACT_LIMIT:
        chosen = np.array(list(combinations(range(n + m), n)))
    else:
        rows = np.tile(np.arange(n + m), (EXACT_LIMIT, 1))
        rows[1:] = generator().permuted(rows[1:], axis=1)
        chosen = rows[:, :n]
    dealt = np.zeros((len(chosen), n + m))
    np.put_along_axis(dealt, chosen, 1.0, axis=1)
    return dealt


def _moments(values_XT: Floats, dealt_CT: Floats, n: int) -> tuple[Floats, Floats]:
    """Return mean and variance (X, C) of the ``n`` dealt values."""
    mean = values_XT @ dealt_CT.T / n
    variance = ((values_XT**2) @ dealt_CT.T - n * mean**2) / (n - 1)
    return mean, np.maximum(variance, 0.0)


def difference(
    first: Mapping[int, float],
    second: Mapping[int, float],
    *,
    items: ItemTest | None = None,
    untestable: str | None = None,
) -> Difference:
    """Compare two variants by their figures, seed -> figure, at least one each; not corrected for other comparisons.

    Common seeds make pairs, and other seeds are left out, if one variant has all seeds of the other, or if the pairs can
    reach as small a p as all figures without pairs; else all figures are used without. One seed gives the mean alone,
    and so does a figure that is NaN or infinite: leaving a diverged run out would favor its variant.

    ``items`` is the test over test items, ``untestable`` why these figures must not be tested: another run diverged.
    """
    seeds = _common_seeds(set(first), set(second))
    a = np.array([first[seed] for seed in seeds or sorted(first)], dtype=np.float64)
    b = np.array([second[seed] for seed in seeds or sorted(second)], dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        bare = Difference(float(a.mean() - b.mean()), None, min(len(a), len(b)), bool(seeds), items=items)
    reason = untestable or _not_finite(first, second, seeds)
    if bare.n == 1 or reason:
        return replace(bare, untestable=reason)
    if seeds:
        n, gaps = len(seeds), a - b
        sd = float(gaps.std(ddof=1))
        found = replace(
            bare,
            interval=t_interval(bare.mean, sd, n),
            p=float(sign_flip_p(gaps[None])[0]),
            smallest_p=smallest_sign_flip_p(n),
            effect_size=_hedges(float(gaps.mean()), sd, n - 1),
            by_seed=dict(zip(seeds, gaps.tolist(), strict=True)),
            test=f"sign flips, {'all' if 2**n <= EXACT_LIMIT else 'random'}",
        )
    else:
        freedom = len(a) + len(b) - 2
        pooled = math.sqrt(sum(float(group.var(ddof=1)) * (len(group) - 1) for group in (a, b)) / freedom)
        exact = math.comb(len(a) + len(b), len(a)) <= EXACT_LIMIT
        found = replace(
            bare,
            interval=welch_interval(a, b),
            p=float(permutation_p(a[None], b[None])[0]),
            smallest_p=smallest_permutation_p(len(a), len(b)),
            effect_size=_hedges(float(a.mean() - b.mean()), pooled, freedom),
            test=f"permutation of labels, {'all' if exact else 'random'}",
        )
    return found if found.p is not None and found.p <= ALPHA else replace(found, more_seeds=more_seeds(found))


def _common_seeds(first: set[int], second: set[int]) -> list[int]:
    """Return the seeds that make pairs, none if all figures shall be used without; figures play no part in it."""
    common = sorted(first & second)
    if first <= second or second <= first:
        return common
    least = smallest_sign_flip_p(len(common)) if len(common) > 1 else 1.0
    return common if least <= smallest_permutation_p(len(first), len(second)) else []


def _not_finite(first: Mapping[int, float], second: Mapping[int, float], seeds: Sequence[int]) -> str | None:
    for figures in (first, second):
        for seed in seeds or sorted(figures):
            if not abs(figures[seed]) < 1e150:  # NaN too; squares of larger ones are infinite
                return f"the figure of seed {seed} is {figures[seed]:g}"
    return None


def _hedges(mean: float, sd: float, freedom: int) -> float | None:
    """Return mean / sd (Cohen 1988) with Hedges' (1981) factor: few seeds show too large an effect; None without noise."""
    return mean / sd * (1 - 3 / (4 * freedom - 1)) if sd > 0 else None


def more_seeds(found: Difference, comparisons: float = 1.0, blocks: int = 1) -> int | None:
    """Return how many further seeds (of each variant) would decide a difference, or None where it cannot be said.

    It is the smallest n at which the exact test can reach the level at all, and at which a t-test at that level would find
    the observed effect with a probability of 0.8. An estimate from few seeds is rough: "about" is meant.

    Args:
        found: a difference that is not decided.
        comparisons: to how many independent ones the family amounts; the level of the t-test is divided by it.
        blocks: by what the family multiplies every p.
    """
    effect = found.effect_size
    if effect is None and found.mean != 0:
        effect = math.inf  # no spread: only the number of seeds is missing
    if found.p is None or effect is None or found.n < 3:  # the spread of two differences says next to nothing
        return None

    def enough(seeds: int) -> bool:
        least = smallest_sign_flip_p(seeds) if found.paired else smallest_permutation_p(seeds, seeds)
        return least * blocks <= ALPHA and power(effect, seeds, found.paired, ALPHA / comparisons) >= WANTED_POWER

    candidates = range(found.n + 1, MOST_SEEDS + 1)
    place = bisect_left(candidates, True, key=enough)  # both conditions, once true, stay true
    return candidates[place] - found.n if place < len(candidates) else None


def power(effect: float, n: int, is_paired: bool, level: float) -> float:
    """Return the probability that a two-sided t-test of ``n`` seeds (each) finds the effect (noncentral t; Cohen 1988)."""
    freedom = n - 1 if is_paired else 2 * n - 2
    shift = abs(effect) * math.sqrt(n if is_paired else n / 2)
    threshold = float(stdtrit(freedom, 1 - level / 2))
    if shift > 5 + 2 * threshold:  # certain to four digits, and where scipy's noncentral t overflows
        return 1.0
    return 1.0 - float(nctdtr(freedom, shift, threshold))  # the other tail adds nothing at the power that is asked for
