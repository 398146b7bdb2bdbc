"""Correction for all comparisons of a family: joint sign flips, which decide, and Holm's beside them.

Westfall and Young's (1993) step-down maximum, with the sign flips of Romano and Wolf (2005): one choice of signs per seed
is applied to all comparisons at once, and each is judged by how large the *largest* statistic becomes. The statistic of
n seeds is |sum d| / sqrt(sum d^2 + c), c being the median of sum d^2 - (sum |d|)^2 / n over the metric's comparisons;
flips change none of these sums, so any such scale is valid. docs/statistics.md says why this mixture (Tusher et al. 2001),
and why not Holm.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from attncompare.compare.statistics.results import FIRST_LEVEL, Difference, Interval
from attncompare.compare.statistics.seeds import Floats, sign_choices, t_interval, welch_interval

_TIE = 1e-9
_BLOCK = 2**22  # numbers held at once


def correct(differences: Sequence[Difference], metrics: Sequence[str], level: float = FIRST_LEVEL) -> list[Difference]:
    """Return ``differences`` with both corrected figures, with intervals for all of them at once, and the level that decides.

    Differences without a p are no part of the family. Unpaired ones cannot share sign flips: they are a block of their
    own, corrected by Holm beside the block of all paired ones. Each block has half of the level, and the whole of it where
    the other one is decided throughout (Bretz et al. 2009).

    Args:
        differences: all pairs of different models in all metrics of one comparison.
        metrics: the metric of each.
        level: at or below which corrected p a difference is decided (:func:`level_after`).
    """
    paired = [place for place, one in enumerate(differences) if one.p is not None and one.paired]
    others = [place for place, one in enumerate(differences) if one.p is not None and not one.paired]
    tested = [*paired, *others]
    by_holm = dict(zip(tested, holm_p([differences[place].p or 0.0 for place in tested]), strict=True))
    matrix_NM = seeds_by_comparison([differences[place] for place in paired])
    kinds_M = kinds([differences[place] for place in paired], [metrics[place] for place in paired])
    bare = [
        dict(zip(paired, step_down_p(matrix_NM[None], kinds_M)[0].tolist() if paired else [], strict=True)),
        dict(zip(others, holm_p([differences[place].p or 0.0 for place in others]), strict=True)),
    ]
    corrected = [replace(one, level=level, p_holm=by_holm.get(place)) for place, one in enumerate(differences)]
    for own, other in (bare, bare[::-1]):
        gate = 2 * max(other.values()) if other else 0.0
        for place, p in own.items():
            corrected[place] = replace(corrected[place], p_family=min(1.0, 2 * p, max(p, gate)))
    levels = [level if not other or 2 * max(other.values()) <= level else level / 2 for other in bare[::-1]]
    if paired:
        intervals = _joint_intervals([corrected[place] for place in paired], matrix_NM, kinds_M, levels[0])
        for place, interval in zip(paired, intervals, strict=True):
            corrected[place] = replace(corrected[place], interval=interval)
    for place in others:
        if not corrected[place].ranks:
            first, second = map(np.array, corrected[place].groups)
            interval = welch_interval(first, second, 1 - levels[1] / len(others))
            corrected[place] = replace(corrected[place], interval=interval)
    return corrected


def spent(differences: Sequence[Difference], level: float) -> float:
    """Return the largest corrected p up to ``level`` that so many seeds can have: 0 where they can decide nothing."""
    smallest = {one.smallest_p for one in differences if one.smallest_p is not None}
    return max((math.floor(level / p + 1e-9) * p for p in smallest), default=0.0)


def seeds_by_comparison(paired: Sequence[Difference]) -> Floats:
    """Return what is tested of ``paired`` differences, (N, M) of N seeds; 0, which no sign changes, where one lacks a seed."""
    seeds = sorted({seed for one in paired for seed in one.by_seed})
    return np.array([[one.by_seed.get(seed, 0.0) for one in paired] for seed in seeds])


def kinds(differences: Sequence[Difference], metrics: Sequence[str]) -> NDArray[np.str_]:
    """Return a name (M,) for each difference that those share whose figures are of one kind: the metric, or its ranks."""
    return np.array([f"{metric}{' ranks' * one.ranks}" for one, metric in zip(differences, metrics, strict=True)])


def holm_p(ps: Sequence[float]) -> list[float]:
    """Return ``ps`` adjusted by Holm, in the given order, each 1 at most."""
    order = np.argsort(ps, kind="stable")
    adjusted = np.empty(len(ps))
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, np.asarray(ps)[order] * np.arange(len(ps), 0, -1)))
    return [float(p) for p in adjusted]


def step_down_p(differences_XNM: Floats, kinds_M: NDArray[np.str_], signs_CN: Floats | None = None) -> Floats:
    """Return the corrected p (X, M) of X families of M comparisons over N seeds; 0 where a pair lacks a seed.

    ``signs_CN``: the choices of signs, the first all 1; None: all, or as many as a test takes.
    """
    weighted_XNM = differences_XNM / _scale(differences_XNM, kinds_M)[0]
    families, seeds, comparisons = weighted_XNM.shape
    signs_CN = sign_choices(seeds) if signs_CN is None else signs_CN
    order_XM, ranked_XNM, observed_XM = _ranked(weighted_XNM)
    reached_XM = np.zeros_like(observed_XM)
    step = max(1, _BLOCK // (families * comparisons))
    for start in range(0, len(signs_CN), step):
        largest_XCM = _largest(signs_CN[start : start + step], ranked_XNM)
        reached_XM += (largest_XCM >= observed_XM[:, None] - _TIE).sum(1)
    p_XM = np.empty_like(observed_XM)
    np.put_along_axis(p_XM, order_XM, np.maximum.accumulate(reached_XM / len(signs_CN), axis=1), axis=1)
    return p_XM


def _ranked(weighted_XNM: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return the order of the comparisons, the largest statistic first (X, M), and both in that order."""
    observed_XM = np.abs(weighted_XNM.sum(1))
    order_XM = np.argsort(-observed_XM, axis=1, kind="stable")
    ranked_XNM = np.take_along_axis(weighted_XNM, order_XM[:, None], axis=2)
    return order_XM, ranked_XNM, np.take_along_axis(observed_XM, order_XM, axis=1)


def _largest(signs_CN: Floats, ranked_XNM: Floats) -> Floats:
    """Return the largest statistic (X, C, M) of each comparison and those ranked after it, for each choice of signs."""
    statistics_XCM = np.abs(signs_CN @ ranked_XNM)
    largest_XCM: Floats = np.maximum.accumulate(statistics_XCM[:, :, ::-1], axis=2)[:, :, ::-1]
    return largest_XCM


def _scale(differences_XNM: Floats, kinds_M: NDArray[np.str_]) -> tuple[Floats, Floats]:
    """Return in which units (X, 1, M) differences of all metrics may stand beside each other, and the noise they share.

    The first is sqrt(sum d^2 + c), the second sqrt(c), both in the units of the differences.
    """
    scale, shared = np.ones((2, len(differences_XNM), 1, differences_XNM.shape[2]))
    for kind in set(kinds_M.tolist()):
        of_kind = differences_XNM[:, :, kinds_M == kind]
        largest = np.abs(of_kind).max((1, 2), keepdims=True)
        unit = np.where(largest > 0, largest, 1.0)
        squares = ((of_kind / unit) ** 2).sum(1, keepdims=True)
        centred = np.maximum(squares - (np.abs(of_kind) / unit).sum(1, keepdims=True) ** 2 / of_kind.shape[1], 0.0)
        noise = np.median(centred, axis=2, keepdims=True)
        own = unit * np.sqrt(squares + noise)
        scale[:, :, kinds_M == kind] = np.where(own > 0, own, 1.0)
        shared[:, :, kinds_M == kind] = unit * np.sqrt(noise)
    return scale, shared


def _joint_intervals(
    paired: Sequence[Difference], matrix_NM: Floats, kinds_M: NDArray[np.str_], level: float
) -> list[Interval | None]:
    """Return the interval of each mean: the values that the step-down test at ``level`` would not reject.

    Statistics are compared with the threshold of the pair's own step, or of the first that is not decided; so an interval
    holds 0 exactly where the pair is not decided. Where so few seeds can decide nothing, it is Student's, at the level
    divided by the number of comparisons.
    """
    scale_XNM, shared_XNM = _scale(matrix_NM[None], kinds_M)
    order_XM, ranked_XNM, observed_XM = _ranked(matrix_NM[None] / scale_XNM)
    signs_CN = sign_choices(len(matrix_NM))
    allowed = math.floor(level * len(signs_CN) + 1e-9)  # so many choices may reach what is observed, itself among them
    top_KM = np.zeros((0, len(paired)))
    step = max(1, _BLOCK // len(paired))
    for start in range(0, len(signs_CN) if allowed else 0, step):
        top_KM = np.concatenate([top_KM, _largest(signs_CN[start : start + step], ranked_XNM)[0]])
        top_KM = np.sort(top_KM, axis=0)[::-1][: allowed + 1]
    threshold_M = np.full(len(paired), math.inf)
    reached = 0.0  # the threshold of the first step that is not decided
    for step, place in enumerate(order_XM[0].tolist() if allowed else ()):
        threshold_M[place] = reached or float(top_KM[allowed, step])
        if not reached and observed_XM[0, step] <= threshold_M[place] + _TIE:
            threshold_M[place] = reached = max(threshold_M[place], float(observed_XM[0, step]) + _TIE)
    return [
        _interval(one, float(threshold_M[place]), float(shared_XNM[0, 0, place]), level, len(paired))
        for place, one in enumerate(paired)
    ]


def _interval(one: Difference, threshold: float, shared: float, level: float, comparisons: int) -> Interval | None:
    if one.ranks:
        return None
    gaps, n = np.array(list(one.by_seed.values())), len(one.by_seed)
    if not threshold**2 < n:
        return t_interval(one.mean, float(gaps.std(ddof=1)), n, 1 - level / comparisons)
    # |n u| = k sqrt(sum (d - mean)^2 + n u^2 + c), solved for u, the distance from the mean.
    around = math.hypot(float(np.linalg.norm(gaps - gaps.mean())), shared)
    half = threshold * around / math.sqrt(n * (n - threshold**2))
    return Interval(one.mean - half, one.mean + half, 1 - level, "inverted joint sign flips")
