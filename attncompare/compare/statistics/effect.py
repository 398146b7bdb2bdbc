"""How large a difference is, in units of the noise, and how often one variant beats the other."""

import math

import numpy as np
from numpy.typing import NDArray


def paired_effect(differences: NDArray[np.float64]) -> float | None:
    """Return d_z, mean over standard deviation of the differences (Cohen 1988, 2.3.5), with Hedges' correction.

    None where every seed has the same difference: there is no noise to measure it by.
    """
    sd = float(differences.std(ddof=1))
    return _corrected(float(differences.mean()), sd, len(differences) - 1)


def unpaired_effect(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Return Hedges' g: the difference of the means over the pooled standard deviation, corrected for few seeds."""
    freedom = len(first) + len(second) - 2
    squares = sum(float(group.var(ddof=1)) * (len(group) - 1) for group in (first, second))
    return _corrected(float(first.mean() - second.mean()), math.sqrt(squares / freedom), freedom)


def probability_of_improvement(
    first: NDArray[np.float64], second: NDArray[np.float64], higher_is_better: bool
) -> float:
    """Return the share of all pairs of seeds in which the first is better; ties count half (Agarwal et al. 2021, 4.3)."""
    sign = np.sign(first[:, None] - second[None, :]) * (1 if higher_is_better else -1)
    return float((sign + 1).mean() / 2)


def _corrected(mean: float, sd: float, freedom: int) -> float | None:
    """Return mean / sd times Hedges' (1981) factor; without it few seeds show too large an effect."""
    return mean / sd * (1 - 3 / (4 * freedom - 1)) if sd > 0 else None
