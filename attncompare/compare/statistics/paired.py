"""Two variants with common seeds: the exact sign-flip test (Fisher 1935, section 21) of the mean difference.

If two variants are equal, each seed's difference is as likely to be its negative. The test tries every choice of signs;
p is the share of choices whose mean is at least as far from zero as the observed one. No distribution is assumed but
this symmetry. Among n seeds the observed choice and its mirror image always count, so that p >= 2 / 2**n.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from attncompare.compare.statistics.chance import EXACT_LIMIT, generator

_TIE = 1e-9  # sums that differ by less, of differences scaled to 1 at most, are the same sum in another order


@lru_cache(maxsize=4)
def sign_choices(n: int) -> NDArray[np.float64]:
    """Return choices of signs (choices, n), the observed one first; every choice up to 16 seeds, else a random set.

    Mirror images give the same absolute mean, so one of each two is left out.
    """
    if is_exact(n):
        bits = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1
        return np.where(bits == 1, -1.0, 1.0)
    drawn = generator().choice([-1.0, 1.0], size=(EXACT_LIMIT, n))
    drawn[0] = 1.0
    return drawn


def is_exact(n: int) -> bool:
    """Whether every choice of signs of ``n`` seeds is tried."""
    return 2**n <= EXACT_LIMIT


def sign_flip_p(differences_XN: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the two-sided p (X,) of each row of N differences, one a seed."""
    scale_X1 = np.abs(differences_XN).max(1, keepdims=True)
    scaled_XN = differences_XN / np.where(scale_X1 > 0, scale_X1, 1.0)
    sums_XC = np.abs(scaled_XN @ sign_choices(differences_XN.shape[1]).T)
    shares: NDArray[np.float64] = (sums_XC >= sums_XC[:, :1] - _TIE).mean(1)
    return shares


def smallest_sign_flip_p(n: int) -> float:
    """Return the smallest p that ``n`` seeds can reach."""
    return 2.0 ** (1 - n) if is_exact(n) else 1 / EXACT_LIMIT
