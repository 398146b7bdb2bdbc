"""Dropout (Srivastava et al. 2014) from a counter-based generator, several times as fast as torch's on the CPU."""

import ctypes
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncompare.attention.kernels.pointers import at, compiled, drawn_seed, serves


def add_dropout(base: Tensor | None, x: Tensor, probability: float) -> Tensor:
    """Return ``base + dropout(x)``, or ``dropout(x)`` without a base, in float32 where the compiled loops serve.

    Args:
        base: any tensor of the shape of ``x``.
        x: any tensor; the loops take half precision as float32, without a copy of bfloat16.
        probability: with which a number becomes 0; the others are divided by 1 - probability. One seed is drawn from
            torch's generator for the CPU, unless it is 0.
    """
    if probability == 0:
        return x if base is None else base + x
    if not serves(x):
        dropped = F.dropout(x, probability)
        return dropped if base is None else base + dropped
    below = None if base is None else base.float().contiguous()
    read = x if x.dtype == torch.bfloat16 else x.float()
    return _AddDropout.apply(below, read.contiguous(), probability, drawn_seed())


class _AddDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, base: Tensor | None, x: Tensor, probability: float, seed: int) -> Tensor:
        ctx.options = probability, seed
        ctx.has_base, ctx.dtype = base is not None, x.dtype
        return _dropped(base, x, torch.float32, probability, seed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        d_x = _dropped(None, gradient.contiguous(), ctx.dtype, *ctx.options)
        return gradient if ctx.has_base else None, d_x, None, None


def _dropped(base: Tensor | None, x: Tensor, dtype: torch.dtype, probability: float, seed: int) -> Tensor:
    """Return ``base + dropout(x)`` in ``dtype``; of ``x`` and the result, one may be bfloat16."""
    to = torch.empty_like(x, dtype=dtype)
    size, threads = ctypes.c_int64(x.numel()), ctypes.c_int64(torch.get_num_threads())
    halves = (ctypes.c_int64(tensor.dtype == torch.bfloat16) for tensor in (x, to))
    options = ctypes.c_float(probability), ctypes.c_uint32(seed), threads, *halves
    compiled().dropout(at(base), at(x), at(to), size, *options)
    return to
