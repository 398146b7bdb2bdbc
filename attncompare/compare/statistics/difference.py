"""One pair of variants in one metric: everything that can be said of the difference before it joins its family."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from attncompare.compare.statistics import paired, unpaired
from attncompare.compare.statistics.effect import paired_effect, probability_of_improvement, unpaired_effect
from attncompare.compare.statistics.estimates import t_interval
from attncompare.compare.statistics.power import more_seeds
from attncompare.compare.statistics.results import ALPHA, Difference, SentenceTest


def difference(
    first: Mapping[int, float],
    second: Mapping[int, float],
    *,
    higher_is_better: bool,
    sentences: SentenceTest | None = None,
    untestable: str | None = None,
) -> Difference:
    """Compare two variants by their figures, seed -> figure.

    Common seeds make pairs, and other seeds are left out, if one variant has all seeds of the other, or if the pairs can
    reach as small a p as all figures without pairs; else all figures are used without. One seed gives the mean alone,
    and so does a figure that is not finite: leaving a diverged run out would favor its variant.

    Args:
        first: figures of the first variant, one at least.
        second: figures of the second variant, one at least.
        higher_is_better: what an improvement is.
        sentences: the test over test items, where there is one.
        untestable: why these figures must not be tested, if so: a run that is not among them diverged.

    Raises:
        ValueError: if a variant has no figure.
    """
    if not first or not second:
        raise ValueError("a difference needs the figure of one seed of each variant at least")
    common = _partners(set(first), set(second))
    a = np.array([first[seed] for seed in common or sorted(first)], dtype=np.float64)
    b = np.array([second[seed] for seed in common or sorted(second)], dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        bare = _bare(float(a.mean() - b.mean()), min(len(a), len(b)), bool(common), sentences)
    reason = untestable or _why_not(first, second, common)
    if bare.n == 1 or reason:
        return replace(bare, untestable=reason)
    tested = _paired(bare, common, a - b) if common else _unpaired(bare, a, b)
    tested = replace(tested, probability_of_improvement=probability_of_improvement(a, b, higher_is_better))
    return tested if tested.p is not None and tested.p <= ALPHA else replace(tested, more_seeds=more_seeds(tested))


def _partners(first: set[int], second: set[int]) -> list[int]:
    """Return the seeds that make pairs, none if all figures shall be used without. The figures have no say in it."""
    common = sorted(first & second)
    if first <= second or second <= first:
        return common
    least = paired.smallest_sign_flip_p(len(common)) if len(common) > 1 else 1.0
    return common if least <= unpaired.smallest_permutation_p(len(first), len(second)) else []


def _bare(mean: float, n: int, is_paired: bool, sentences: SentenceTest | None) -> Difference:
    return Difference(mean, None, n, is_paired, None, None, None, None, None, sentences, None)


def _why_not(first: Mapping[int, float], second: Mapping[int, float], common: list[int]) -> str | None:
    """Return why the figures cannot be tested, or None."""
    for figures in (first, second):
        for seed in common or sorted(figures):
            if not abs(figures[seed]) < 1e150:  # NaN too; squares of larger ones are infinite
                return f"the figure of seed {seed} is {figures[seed]:g}"
    return None


def _paired(bare: Difference, seeds: list[int], differences: NDArray[np.float64]) -> Difference:
    n = len(seeds)
    return replace(
        bare,
        interval=t_interval(bare.mean, float(differences.std(ddof=1)), n),
        p=float(paired.sign_flip_p(differences[None])[0]),
        smallest_p=paired.smallest_sign_flip_p(n),
        effect_size=paired_effect(differences),
        by_seed=dict(zip(seeds, differences.tolist(), strict=True)),
        test=f"sign flips, {'all' if paired.is_exact(n) else 'random'}",
    )


def _unpaired(bare: Difference, first: NDArray[np.float64], second: NDArray[np.float64]) -> Difference:
    sizes = len(first), len(second)
    return replace(
        bare,
        interval=unpaired.welch_interval(first, second),
        p=float(unpaired.permutation_p(first[None], second[None])[0]),
        smallest_p=unpaired.smallest_permutation_p(*sizes),
        effect_size=unpaired_effect(first, second),
        test=f"permutation of labels, {'all' if unpaired.is_exact(*sizes) else 'random'}",
    )
