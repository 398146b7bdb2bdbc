"""Additive attention as one differentiable function of tensors on a CUDA device; ``additive_kernels.py`` has the loops."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncompare.attention.kernels.pointers import drawn_seed


def additive_context(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_HK: Tensor,
    values_BHSV: Tensor,
    may_attend: Tensor | None,
    causal: bool,
    dropout: float,
) -> Tensor:
    """Return ``softmax(v . tanh(q + k)) values`` (B, H, T, width of the values), where the kernels serve (triton.py).

    Extra memory is linear in T and S, forward and backward. For one seed the same weights are dropped as on the CPU.

    Args:
        q_BHTK: queries; computed in float32, whatever their type.
        k_BHSK: keys.
        v_HK: the vector v of each head.
        values_BHSV: values.
        may_attend: boolean, broadcastable to (B, H, T, S); a query that may attend to nothing gets zeros.
        causal: also hide the future; the last query stands at the last key.
        dropout: probability with which a weight is dropped; drawn from torch's generator for the CPU.
    """
    seed = drawn_seed() if dropout else 0
    inputs = (tensor.float() for tensor in (q_BHTK, k_BHSK, v_HK, values_BHSV))
    return _Additive.apply(*inputs, may_attend, causal, dropout, seed).to(q_BHTK.dtype)


class _Additive(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, values: Tensor, may_attend: Tensor | None, *options: Any
    ) -> Tensor:
        from attncompare.attention.kernels.triton_additive_kernels import forward

        # Where K comes before T and S, one number of many queries is one row of memory.
        tensors = (q.mT.contiguous(), k.mT.contiguous(), v.contiguous(), values.contiguous())
        batch, heads, queries, _ = q.shape
        context = q.new_empty(batch, heads, queries, values.shape[3])
        top, total = q.new_empty(batch, heads, queries), q.new_empty(batch, heads, queries)
        blocks = forward_blocks(queries, k.shape[2], values.shape[3])
        grid = batch * heads * _count(queries, blocks["T"]), _count(values.shape[3], blocks["V"])
        with torch.cuda.device_of(q):
            _launch(forward, grid, tensors, may_attend, (context, top, total), options, blocks)
        ctx.save_for_backward(*tensors, top, total, may_attend)
        ctx.options = options
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_context: Tensor) -> tuple[Tensor | None, ...]:
        from attncompare.attention.kernels.triton_additive_kernels import backward_keys, backward_queries

        *tensors, top, total, may_attend = ctx.saved_tensors
        q, k, v, values = tensors
        (batch, heads, width, queries), keys = q.shape, k.shape[3]
        known = (d_context.contiguous(), top, total, torch.empty_like(top))  # the last is made with dq and read for dk
        d_q, d_k = q.new_empty(batch, heads, queries, width), k.new_empty(batch, heads, keys, width)
        d_values = torch.empty_like(values)
        blocks = backward_blocks("T", queries, "S", keys, width, values.shape[3])
        shares = _count(queries, blocks["T"])
        d_v = v.new_empty(batch, heads, shares, width)
        with torch.cuda.device_of(q):
            made = (*known, d_q, d_v)
            _launch(backward_queries, (batch * heads * shares, 1), tensors, may_attend, made, ctx.options, blocks)
            blocks = key_blocks(queries, keys, width, values.shape[3])
            grid = batch * heads * _count(keys, blocks["S"]), _count(values.shape[3], blocks["V"])
            _launch(backward_keys, grid, tensors, may_attend, (*known, d_k, d_values), ctx.options, blocks)
        return d_q, d_k, d_v.sum((0, 2)), d_values, *[None] * (1 + len(ctx.options))


def _launch(
    kernel: Any,
    grid: tuple[int, int],
    tensors: Sequence[Tensor],
    may_attend: Tensor | None,
    others: tuple[Tensor, ...],
    options: tuple[Any, ...],
    blocks: dict[str, int],
) -> None:
    if 0 in grid:
        return
    q, k, _, values = tensors
    causal, dropout, seed = options
    (batch, heads, width, queries), keys = q.shape, k.shape[3]
    mask: Tensor | None = None
    strides: tuple[int, ...] = (0, 0, 0, 0)
    if may_attend is not None:
        mask = may_attend.expand(batch, heads, queries, keys).view(torch.uint8)
        strides = mask.stride()
    kernel[grid](
        *(*tensors, mask, *others),
        *(heads, queries, keys, width, values.shape[3], *strides),
        *(float(dropout), seed - 2**32 if seed >= 2**31 else seed),
        CAUSAL=causal,
        MASKED=mask is not None,
        DROPOUT=dropout > 0,
        **blocks,
    )


# A thread has 255 registers: the sizes are those with which ptxas, asked for compute capability 9.0, spills (next to) nothing.
def forward_blocks(queries: int, keys: int, value_width: int) -> dict[str, int]:
    """Return the sizes of a program's tile: the wider what it sums up, the fewer queries."""
    columns = _padded(value_width, 256)
    return {
        **{"T": _padded(queries, 32 if columns <= 64 else 16), "S": _padded(keys, 64 if columns <= 64 else 32)},
        **{"V": columns, "num_warps": 4},
    }


def backward_blocks(own: str, owned: int, other: str, others: int, width: int, value_width: int) -> dict[str, int]:
    """Return the sizes of a program's tile: longer in what it walks over where sums are wide, to add to them less often."""
    numbers = _padded(width)
    rows, walked = (32, 32) if numbers <= 64 else (16, 64)
    return {
        **{own: _padded(owned, rows), other: _padded(others, walked)},
        **{"K": numbers, "C": _padded(value_width, 16), "num_warps": 4 if numbers <= 128 else 8},
    }


def key_blocks(queries: int, keys: int, width: int, value_width: int) -> dict[str, int]:
    """Return the sizes for a program that owns keys, and columns of the values, instead of queries."""
    return {**backward_blocks("S", keys, "T", queries, width, value_width), "V": _padded(value_width, 128)}


def _padded(size: int, most: int | None = None) -> int:
    """Return the power of two that holds ``size`` numbers, 16 at least (what a product of tiles needs), ``most`` at most."""
    padded = max(16, 1 << max(0, size - 1).bit_length())
    return padded if most is None else min(padded, most)


def _count(size: int, block: int) -> int:
    return -(-size // block)
