"""Statistics over seeds: one variant (mean, interval, collapsed seeds), and one pair of variants (test, interval, effect).

A mean's interval is the bootstrap-t (Efron and Tibshirani 1993, 12.5): that of plain percentiles covers 85 % of five normal
values. Pairs with common seeds are tested by exact sign flips (Fisher 1935, 21), so that p >= 2 / 2**n; others by
permutation of labels (Pitman 1937) with Welch's t, which keeps its level where only the noise differs (Janssen 1997).
Where a seed diverged or collapsed, both test ranks instead of figures (Wilcoxon 1945).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

from attncompare.compare.statistics.results import (
    EXACT_LIMIT,
    LEVEL,
    Difference,
    Estimate,
    Interval,
    ItemTest,
    generator,
)

FEWEST_TO_DESCRIBE = 5
_COLLAPSE = 10.0
_LARGEST = 1e150  # squares of larger figures are infinite
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
    if len(figures) >= FEWEST_TO_DESCRIBE:
        low, high = (float(end[0]) for end in bootstrap_t(figures[None]))
        if math.isfinite(low) and math.isfinite(high):
            interval = Interval(low, high, LEVEL, "bootstrap-t")
    return Estimate(mean, sd, interval, len(figures))


def t_interval(mean: float, sd: float, n: int, level: float = LEVEL) -> Interval:
    """Return Student's interval of a mean of ``n`` values, two at least."""
    half = float(stdtrit(n - 1, (1 + level) / 2)) * sd / math.sqrt(n)
    return Interval(mean - half, mean + half, level)


def rate_interval(count: int, n: int) -> Interval:
    """Return the exact interval of a rate of which ``count`` of ``n`` were seen (Clopper and Pearson 1934)."""
    tail = (1 - LEVEL) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Interval(low, high, LEVEL, "Clopper-Pearson")


def robust_sd(values: Sequence[float]) -> float:
    """Return 1.4826 times the median distance from the median, which one far value does not change (Hampel 1974).

    Values that are not finite do not count; 0 where there are none.
    """
    figures = np.array([value for value in values if abs(value) < _LARGEST], dtype=np.float64)
    return 1.4826 * float(np.median(np.abs(figures - np.median(figures)))) if len(figures) else 0.0


def collapsed(figures: Mapping[int, float], noise: float, higher_is_better: bool) -> set[int]:
    """Return the seeds whose figure is worse than the median of all by more than ten times the noise, or not finite.

    ``noise`` is a standard deviation of seeds as the variants beside it have it; the variant's own counts where it is larger.
    """
    lost = {seed for seed, figure in figures.items() if not abs(figure) < _LARGEST}
    whole = {seed: figure for seed, figure in figures.items() if seed not in lost}
    if len(whole) < FEWEST_TO_DESCRIBE:  # too few to tell a collapsed seed from noise
        return lost
    limit = _COLLAPSE * max(noise, robust_sd(list(whole.values())))
    middle, sign = float(np.median(list(whole.values()))), -1 if higher_is_better else 1
    return lost | {seed for seed, figure in whole.items() if sign * (figure - middle) > limit > 0}


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
def sign_choices(n: int, most: int = EXACT_LIMIT) -> Floats:
    """Return choices of signs (choices, n), the observed one first: all 2^n up to ``most`` of them, else a random set.

    Mirror images give the same absolute mean, so one of each two is left out.
    """
    if 2**n <= most:
        bits = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1
        return np.where(bits == 1, -1.0, 1.0)
    drawn = generator().choice([-1.0, 1.0], size=(most, n))
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


def permutation_p(first_XN: Floats, second_XM: Floats, most: int = EXACT_LIMIT) -> Floats:
    """Return the two-sided p (X,) of rows of N figures against rows of M figures, two each at least.

    All ways to deal them count up to ``most``, else that many random ones.
    """
    pooled_XT = np.concatenate([first_XN, second_XM], axis=1)
    pooled_XT = pooled_XT - pooled_XT.mean(1, keepdims=True)
    scale_X1 = np.abs(pooled_XT).max(1, keepdims=True)
    pooled_XT = pooled_XT / np.where(scale_X1 > 0, scale_X1, 1.0)
    n, m = first_XN.shape[1], second_XM.shape[1]
    dealt_CT = _deals(n, m, most)
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


def welch_interval(first: Floats, second: Floats, level: float = LEVEL) -> Interval:
    """Return Welch's interval of the difference of two means, of two figures each at least."""
    parts = [float(group.var(ddof=1)) / len(group) for group in (first, second)]
    mean, variance = float(first.mean() - second.mean()), sum(parts)
    if variance == 0:
        return Interval(mean, mean, level, "Welch")
    freedom = variance**2 / sum(part**2 / (len(group) - 1) for part, group in zip(parts, (first, second), strict=True))
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
    return Interval(mean - half, mean + half, level, "Welch")


@lru_cache(maxsize=4)
def _deals(n: int, m: int, most: int) -> Floats:
    """Return ways to deal n + m figures (deals, n + m): 1 for those of the first group; the observed way first."""
    if math.comb(n + m, n) <= most:
        chosen = np.array(list(combinations(range(n + m), n)))
    else:
        rows = np.tile(np.arange(n + m), (most, 1))
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
    ranks: bool = False,
) -> Difference:
    """Compare two variants by their figures, seed -> figure, at least one each; not corrected for other comparisons.

    Common seeds make pairs if both variants have the same ones, or if the pairs can reach as small a p as all figures
    without pairs; the figures play no part in it. One seed gives the mean alone.

    Args:
        first, second: no figure is NaN; that of a diverged run is infinite, on the worse side.
        items: the test over test items.
        ranks: whether ranks are tested instead of figures; they are anyway where a figure is infinite or huge.
    """
    seeds = _paired_seeds(set(first), set(second))
    a = np.array([first[seed] for seed in seeds or sorted(first)], dtype=np.float64)
    b = np.array([second[seed] for seed in seeds or sorted(second)], dtype=np.float64)
    ranks = ranks or not (np.abs(np.concatenate([a, b])) < _LARGEST).all()
    gaps = _gaps(a, b) if seeds else _gaps(a[:, None], b).flatten()
    # Of as many infinite gaps of either sign there is no median: nobody leads.
    mean = float(np.nan_to_num(np.median(gaps), posinf=math.inf, neginf=-math.inf)) if ranks else a.mean() - b.mean()
    bare = Difference(float(mean), min(len(a), len(b)), bool(seeds), int(np.sign(mean)), ranks, items=items)
    if bare.n == 1:
        return bare
    bare = replace(bare, superiority=_superiority(a, b), test=_test_name(seeds, a, b, ranks))
    if ranks:
        own = np.sign(gaps) * _ranks(np.abs(gaps)) * (gaps != 0) if seeds else _ranks(np.concatenate([a, b]))
        a, b = (own, np.zeros_like(own)) if seeds else (own[: len(a)], own[len(a) :])
        bare = replace(bare, sign=int(np.sign(a.mean() - b.mean())))
    if seeds:
        own = a - b
        found = replace(
            bare,
            p=float(sign_flip_p(own[None])[0]),
            smallest_p=smallest_sign_flip_p(len(seeds)),
            by_seed=dict(zip(seeds, own.tolist(), strict=True)),
        )
    else:
        found = replace(
            bare,
            p=float(permutation_p(a[None], b[None])[0]),
            smallest_p=smallest_permutation_p(len(a), len(b)),
            groups=(tuple(a.tolist()), tuple(b.tolist())),
        )
    return found if ranks else _with_sizes(found, a, b)


def _with_sizes(found: Difference, a: Floats, b: Floats) -> Difference:
    """Return ``found`` with its intervals and its effect size, of the figures ``a`` and ``b``."""
    if found.paired:
        sd, freedom = float((a - b).std(ddof=1)), len(a) - 1
        interval, variance = t_interval(found.mean, sd, len(a)), sd**2 / len(a)
    else:
        freedom = len(a) + len(b) - 2
        variances = [float(group.var(ddof=1)) for group in (a, b)]
        sd = math.sqrt((variances[0] * (len(a) - 1) + variances[1] * (len(b) - 1)) / freedom)
        interval, variance = welch_interval(a, b), variances[0] / len(a) + variances[1] / len(b)
    over_items = None
    if found.items is not None:
        # Each part holds what seeds and items do together, so that the interval is rather too wide (Owen 2007).
        half = float(stdtrit(found.n - 1, (1 + LEVEL) / 2)) * math.hypot(math.sqrt(variance), found.items.sd)
        over_items = Interval(found.mean - half, found.mean + half, LEVEL, "t, over seeds and test items")
    return replace(found, interval=interval, interval_items=over_items, effect_size=_hedges(found.mean, sd, freedom))


def _paired_seeds(first: set[int], second: set[int]) -> list[int]:
    """Return the seeds that make pairs, none if all figures shall be used without."""
    common = sorted(first & second)
    if first == second or (common and min(len(first), len(second)) == 1):
        return common
    least = smallest_sign_flip_p(len(common)) if len(common) > 1 else 1.0
    return common if least <= smallest_permutation_p(len(first), len(second)) else []


def _gaps(a: Floats, b: Floats) -> Floats:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(a == b, 0.0, a - b)  # of two that diverged too


def _ranks(values: Floats) -> Floats:
    """Return the rank of each value, from 1; equal ones share the mean of theirs."""
    ordered = np.sort(values)
    ranks: Floats = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") + 1) / 2
    return ranks


def _superiority(a: Floats, b: Floats) -> tuple[float, Interval]:
    n = min(len(a), len(b))
    won = float((a[:n] > b[:n]).sum() + (a[:n] == b[:n]).sum() / 2)
    low, high = rate_interval(math.floor(won), n).low, rate_interval(math.ceil(won), n).high
    return won / n, Interval(low, high, LEVEL, "Clopper-Pearson")


def _test_name(seeds: Sequence[int], a: Floats, b: Floats, ranks: bool) -> str:
    choices = 2 ** len(seeds) if seeds else math.comb(len(a) + len(b), len(a))
    name = "sign flips" if seeds else "permutation of labels"
    return f"{name}{' of ranks' * ranks}, {'all' if choices <= EXACT_LIMIT else 'random'}"


def _hedges(mean: float, sd: float, freedom: int) -> float | None:
    """Return mean / sd (Cohen 1988) with Hedges' (1981) factor: few seeds show too large an effect; None without noise."""
    return mean / sd * (1 - 3 / (4 * freedom - 1)) if sd > 0 else None
