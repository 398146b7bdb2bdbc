"""How tensors reach the compiled loops."""

import ctypes

import torch
from torch import Tensor

from attncompare.attention.kernels.library import library

SMALL_TYPES = (torch.float32, torch.bfloat16, torch.float16)  # those that are computed in float32


def serves(tensor: Tensor) -> bool:
    """Return whether the compiled loops take ``tensor``: on the CPU, float32 or less, and there are compiled loops.

    While torch.compile reads a model they take nothing: it has no use for addresses, and fuses the slower forms itself.
    """
    if torch.compiler.is_compiling():
        return False
    return tensor.device.type == "cpu" and tensor.dtype in SMALL_TYPES and library() is not None


def compiled() -> ctypes.CDLL:
    """Return the library; :func:`serves` has been asked before."""
    found = library()
    assert found is not None
    return found


def at(tensor: Tensor | None) -> ctypes.c_void_p:
    """Return where the numbers of ``tensor`` stand, a null pointer for none."""
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def drawn_seed() -> int:
    """Return a seed for the counters of the loops, 32 bits from torch's generator for the CPU."""
    return int(torch.randint(2**32, ()))


def mask_strides(may_attend: Tensor | None, batch: int, heads: int, queries: int, keys: int) -> tuple[int, ...]:
    """Return how far apart a mask's values for neighbours along B, H, T and S stand; 0 along an axis that it has once."""
    return (0, 0, 0, 0) if may_attend is None else may_attend.expand(batch, heads, queries, keys).stride()
