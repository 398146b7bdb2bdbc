"""Whether Triton is at hand. It comes with torch's builds for CUDA."""

import logging
from functools import cache
from importlib.util import find_spec

from torch import Tensor

from attncompare.attention.kernels.pointers import SMALL_TYPES

log = logging.getLogger("attncompare")


@cache
def at_hand() -> bool:
    """Return whether Triton is installed; says once, in the log, if it is not: a slower form serves then."""
    if find_spec("triton") is None:
        log.info("no triton: additive attention runs without kernels on the GPU")
        return False
    return True


def serves(tensor: Tensor) -> bool:
    """Return whether the kernels take ``tensor``: on a CUDA device, float32 or less, and Triton is at hand."""
    return tensor.device.type == "cuda" and tensor.dtype in SMALL_TYPES and at_hand()
