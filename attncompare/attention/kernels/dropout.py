"""Dropout (Srivastava et al. 2014) from a counter-based generator: the same masks with and without compiled kernels.

Each number stands in a row; a seed and the row give a key, and a hash of the key and the number's column gives 32 random
bits, 24 of which are compared with the probability. One seed a call comes from torch's generator for the CPU. ``vector.h``
and ``triton_additive.py`` compute the same bits.
"""

import ctypes
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncompare.attention.kernels.build import at, compiled, serves

_ROW = 1 << 14  # numbers of a tensor that share a key in add_dropout; dropout.cpp has the same
_CHUNK = 1 << 17  # numbers at a time, so that what the hash makes in between stays in a core's cache


def drawn_seed() -> int:
    """Return 32 bits from torch's generator for the CPU."""
    return int(torch.randint(2**32, ()))


def dropout_factors(rows: Tensor, columns: int, probability: float, seed: int) -> Tensor:
    """Return what dropout multiplies with, 0 or 1 / (1 - probability): float32 (R, ``columns``) for R row numbers (int32)."""
    key_R1 = _random_bits(rows, seed)[:, None]
    column_C = torch.arange(columns, dtype=torch.int32, device=rows.device)
    drawn_RC = _random_bits(column_C, key_R1).bitwise_right_shift_(8).bitwise_and_(0xFFFFFF)
    threshold, factor = _in_float32(probability)
    return (drawn_RC >= threshold) * factor


def drop_weights(
    weights_BHTS: Tensor,
    probability: float,
    part: slice = slice(None),
    queries: int | None = None,
    seed: int | None = None,
) -> Tensor:
    """Return attention weights after dropout; for one seed, kernels that mix values at once drop the same weights.

    Args:
        weights_BHTS: the weights, of all queries or of some.
        probability: with which a weight is dropped.
        part: which queries they are of.
        queries: of so many; None: they are all.
        seed: what decides; None: drawn.
    """
    if probability == 0:
        return weights_BHTS
    if torch.compiler.is_compiling():
        return F.dropout(weights_BHTS, probability)
    B, H, T = weights_BHTS.shape[:3]
    first_N1 = torch.arange(B * H, dtype=torch.int32, device=weights_BHTS.device)[:, None] * (queries or T)
    some_T = torch.arange(queries or T, dtype=torch.int32, device=weights_BHTS.device)[part]
    rows = (first_N1 + some_T).flatten()
    factors_RS = dropout_factors(rows, weights_BHTS.shape[-1], probability, drawn_seed() if seed is None else seed)
    return weights_BHTS * factors_RS.view_as(weights_BHTS).to(weights_BHTS.dtype)


def add_dropout(base: Tensor | None, x: Tensor, probability: float) -> Tensor:
    """Return ``base + dropout(x)``, or ``dropout(x)`` without a base; on the CPU in float32, unless ``x`` is float64.

    On a GPU, and while torch.compile traces a model, dropout is torch's own.

    Args:
        base: any tensor of the shape of ``x``.
        x: any tensor; half precision is taken as float32.
        probability: with which a number becomes 0; the others are divided by 1 - probability. One seed is drawn, unless
            it is 0.
    """
    if probability == 0:
        return x if base is None else base + x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        dropped = F.dropout(x, probability)
        return dropped if base is None else base + dropped
    dtype = torch.promote_types(x.dtype, torch.float32)
    below = None if base is None else base.to(dtype).contiguous()
    read = x if x.dtype == torch.bfloat16 else x.to(dtype)
    return _AddDropout.apply(below, read.contiguous(), dtype, probability, drawn_seed())


class _AddDropout(torch.autograd.Function):
    """The backward pass draws the same mask again instead of storing it."""

    @staticmethod
    def forward(ctx: Any, base: Tensor | None, x: Tensor, dtype: torch.dtype, probability: float, seed: int) -> Tensor:
        ctx.options = probability, seed
        ctx.has_base, ctx.dtype = base is not None, x.dtype
        return _dropped(base, x, dtype, probability, seed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        d_x = _dropped(None, gradient.contiguous(), ctx.dtype, *ctx.options)
        return gradient if ctx.has_base else None, d_x, None, None, None


def _dropped(base: Tensor | None, x: Tensor, dtype: torch.dtype, probability: float, seed: int) -> Tensor:
    """Return ``base + dropout(x)`` in ``dtype``; of ``x`` and the result, one may be bfloat16."""
    to = torch.empty_like(x, dtype=dtype)
    if not serves(x):
        _drop_by_torch(base, x, to, probability, seed)
        return to
    size, threads = ctypes.c_int64(x.numel()), ctypes.c_int64(torch.get_num_threads())
    halves = (ctypes.c_int64(tensor.dtype == torch.bfloat16) for tensor in (x, to))
    options = ctypes.c_float(probability), ctypes.c_uint32(seed), threads, *halves
    compiled().dropout(at(base), at(x), at(to), size, *options)
    return to


def _drop_by_torch(base: Tensor | None, x: Tensor, to: Tensor, probability: float, seed: int) -> None:
    """Write ``base + dropout(x)`` to ``to``, a few rows at a time."""
    read_N, to_N = x.flatten(), to.view(-1)
    base_N = None if base is None else base.flatten()
    for begin in range(0, len(read_N), _CHUNK):
        piece = slice(begin, begin + _CHUNK)
        some_N = read_N[piece]
        rows = torch.arange(begin // _ROW, -(-(begin + len(some_N)) // _ROW), dtype=torch.int32)
        factors_N = dropout_factors(rows, min(_ROW, len(read_N)), probability, seed).view(-1)[: len(some_N)]
        kept_N = some_N.to(torch.promote_types(some_N.dtype, torch.float32)) * factors_N
        to_N[piece] = kept_N if base_N is None else base_N[piece] + kept_N


def _random_bits(counter: Tensor, key: Tensor | int) -> Tensor:
    """Return a new tensor of 32 random bits each: the hash lowbias32 (C. Wellons) of ``counter`` (int32) mixed with ``key``.

    int32 stands for uint32: products wrap around, and what a right shift repeats of the sign is masked away.
    """
    x = (counter * _signed(0x9E3779B9)) ^ (_signed(key) if isinstance(key, int) else key)
    for shift, factor in ((16, 0x21F0AAAD), (15, 0xD35A2D97)):
        x.bitwise_xor_((x >> shift).bitwise_and_((1 << (32 - shift)) - 1)).mul_(_signed(factor))
    return x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF))


def _signed(bits: int) -> int:
    return bits - 2**32 if bits >= 2**31 else bits


def _in_float32(probability: float) -> tuple[int, float]:
    """Return the least 24 bits that are kept, and the factor of what is, as kernels compute both in float32."""
    single = np.float32(probability)
    return math.ceil(float(single) * 2**24), float(np.float32(1) / (np.float32(1) - single))
