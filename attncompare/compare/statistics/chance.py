"""All random numbers of the statistics: drawn from one fixed seed, so that the same runs always give the same figures."""

import numpy as np

SEED = 1409
"""Any number would do; it is fixed, and written here only."""
EXACT_LIMIT = 2**16
"""Up to so many rearrangements all are tried; beyond, this many are drawn, the observed one among them."""
RESAMPLES = 1000
"""Resamples of test items, as in Koehn (2004)."""


def generator() -> np.random.Generator:
    """Return a new generator from the fixed seed."""
    return np.random.default_rng(SEED)
