"""Dropout (Srivastava et al. 2014) from a counter-based generator, several times as fast as torch's on the CPU."""

import ctypes
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncompare.native.pointers import at, compiled, drawn_seed, serves


def add_dropout(base: Tensor | None, x: Tensor, probability: float) -> Tensor:
    """Return ``base + dropout(x)``, or ``dropout(x)`` without a base, in float32 where the compiled loops serve.

    Args:
        base: any tensor of the shape of ``x``.
        x: any tensor; the loops take half precision as float32.
        probability: with which a number becomes 0; the others are divided by 1 - probability. One seed is drawn from
            torch's generator for the CPU, unless it is 0.
    """
    if probability == 0:
        return x if base is None else base + x
    if not serves(x):
        dropped = F.dropout(x, probability)
        return dropped if base is None else base + dropped
    below = None if base is None else base.float().contiguous()
    return _AddDropout.apply(below, x.float().contiguous(), probability, drawn_seed())


class _AddDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, base: Tensor | None, x: Tensor, probability: float, seed: int) -> Tensor:
        ctx.options = probability, seed
        ctx.has_base = base is not None
        return _dropped(base, x, probability, seed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return gradient if ctx.has_base else None, _dropped(None, gradient.contiguous(), *ctx.options), None, None


def _dropped(base: Tensor | None, x: Tensor, probability: float, seed: int) -> Tensor:
    to = torch.empty_like(x)
    size, threads = ctypes.c_int64(x.numel()), ctypes.c_int64(torch.get_num_threads())
    compiled().dropout(at(base), at(x), at(to), size, ctypes.c_float(probability), ctypes.c_uint32(seed), threads)
    return to
