"""Correction for all comparisons of a family: joint sign flips, which decide, and Holm's beside them.

Westfall and Young's (1993) step-down maximum, with the sign flips of Romano and Wolf (2005): one choice of signs per seed
is applied to all comparisons at once, and each is judged by how large the *largest* statistic becomes. The statistic of
n seeds is |sum d| / sqrt(sum d^2 + c), c being the median of sum d^2 - (sum |d|)^2 / n over the metric's comparisons;
flips change none of these sums, so any such scale is valid. docs/statistics.md says why this mixture (Tusher et al. 2001),
and why not Holm.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from attncompare.compare.statistics.results import Difference
from attncompare.compare.statistics.seeds import Floats, more_seeds, sign_choices

_TIE = 1e-9
_BLOCK = 2**22  # numbers held at once


def correct(differences: Sequence[Difference], metrics: Sequence[str]) -> list[Difference]:
    """Return ``differences`` with both corrected figures, and with the further seeds that the corrected level needs.

    Differences without a p are no part of the family. Unpaired ones cannot share sign flips: each stands for itself beside
    the block of all paired ones, and every p is multiplied by the number of these blocks (Bonferroni); without any pairs
    it is Holm's correction.

    A family is all pairs of different models in all ``metrics`` of one comparison, of which each difference has one.
    """
    tested = [place for place, one in enumerate(differences) if one.p is not None]
    joint = [place for place in tested if differences[place].paired]
    by_holm = dict(zip(tested, holm_p([differences[place].p or 0.0 for place in tested]), strict=True))
    by_family, blocks, comparisons = by_holm, independent_blocks(differences), 1.0
    if joint:
        gaps = [differences[place].by_seed for place in joint]
        seeds = sorted({seed for one in gaps for seed in one})
        matrix_NM = np.array([[one.get(seed, 0.0) for one in gaps] for seed in seeds])  # no sign changes 0
        stepped = step_down_p(matrix_NM[None], np.array([metrics[place] for place in joint]))[0].tolist()
        bare = {place: differences[place].p or 0.0 for place in tested} | dict(zip(joint, stepped, strict=True))
        by_family = {place: min(1.0, p * blocks) for place, p in bare.items()}
        comparisons = independent_comparisons(matrix_NM)
    corrected = [
        replace(one, p_holm=by_holm.get(place), p_family=by_family.get(place)) for place, one in enumerate(differences)
    ]
    return [
        replace(one, more_seeds=None if one.decided else more_seeds(one, comparisons * blocks, blocks))
        for one in corrected
    ]


def holm_p(ps: Sequence[float]) -> list[float]:
    """Return ``ps`` adjusted by Holm, in the given order, each 1 at most."""
    order = np.argsort(ps, kind="stable")
    adjusted = np.empty(len(ps))
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, np.asarray(ps)[order] * np.arange(len(ps), 0, -1)))
    return [float(p) for p in adjusted]


def step_down_p(differences_XNM: Floats, metrics_M: NDArray[np.str_]) -> Floats:
    """Return the corrected p (X, M) of X families of M comparisons over N seeds; 0 where a pair lacks a seed."""
    weighted_XNM = _weighted(differences_XNM, metrics_M)
    families, seeds, comparisons = weighted_XNM.shape
    signs_CN = sign_choices(seeds)
    observed_XM = np.abs(weighted_XNM.sum(1))
    order_XM = np.argsort(-observed_XM, axis=1, kind="stable")
    ranked_XNM = np.take_along_axis(weighted_XNM, order_XM[:, None], axis=2)
    observed_XM = np.take_along_axis(observed_XM, order_XM, axis=1)
    reached_XM = np.zeros_like(observed_XM)
    step = max(1, _BLOCK // (families * comparisons))
    for start in range(0, len(signs_CN), step):
        statistics_XCM = np.abs(signs_CN[start : start + step] @ ranked_XNM)
        largest_XCM = np.maximum.accumulate(statistics_XCM[:, :, ::-1], axis=2)[:, :, ::-1]
        reached_XM += (largest_XCM >= observed_XM[:, None] - _TIE).sum(1)
    p_XM = np.empty_like(observed_XM)
    np.put_along_axis(p_XM, order_XM, np.maximum.accumulate(reached_XM / len(signs_CN), axis=1), axis=1)
    return p_XM


def independent_comparisons(differences_NM: Floats) -> float:
    """Return to how many independent ones M comparisons over N seeds amount, by their correlations (Galwey 2009)."""
    lengths_M = np.sqrt((differences_NM**2).sum(0))
    present_M = lengths_M > 0
    if not present_M.any():
        return 1.0
    singular = np.linalg.svd(differences_NM[:, present_M] / lengths_M[present_M], compute_uv=False)
    return float(singular.sum() ** 2 / (singular**2).sum())


def independent_blocks(differences: Sequence[Difference]) -> int:
    """Return how many blocks the family has: the paired ones together, each unpaired one alone."""
    kinds = [one.paired for one in differences if one.p is not None]
    return max(1, kinds.count(False) + (True in kinds))


def _weighted(differences_XNM: Floats, metrics_M: NDArray[np.str_]) -> Floats:
    """Return the differences in units in which those of all metrics may stand beside each other."""
    weighted = np.zeros_like(differences_XNM)
    for metric in set(metrics_M.tolist()):
        of_metric = differences_XNM[:, :, metrics_M == metric]
        largest = np.abs(of_metric).max((1, 2), keepdims=True)
        scaled = of_metric / np.where(largest > 0, largest, 1.0)
        squares = (scaled**2).sum(1, keepdims=True)
        centred = np.maximum(squares - np.abs(scaled).sum(1, keepdims=True) ** 2 / scaled.shape[1], 0.0)
        scale = np.sqrt(squares + np.median(centred, axis=2, keepdims=True))
        weighted[:, :, metrics_M == metric] = scaled / np.where(scale > 0, scale, 1.0)
    return weighted
