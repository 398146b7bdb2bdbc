"""Additive attention, softmax(v . tanh(q + k)) values, forward and backward, on a CUDA device, by Triton.

One program owns a block of queries (forward, dq and dv) or of keys (dk and dvalues) of one head and walks over the other
axis tile by tile, as in FlashAttention-2 (Dao 2023, algorithms 1 and 2). A score costs K values of tanh here and no product
of matrices, so within a tile a loop goes over K, with one row of queries and one of keys at a time. The backward pass makes
scores and weights again from each query's largest score and its sum of exponentials. With g the gradient of a score and
h = tanh(q + k): dq = dk = v * sum of g (1 - h^2), dv = sum of g h. Nothing is added to memory that another program adds to:
the order of every sum, and with it every bit, is always the same.

In functions that both kinds of programs call, names end in the axes of the tile, (t, s) or (s, t): what a program sums over
is always the last axis, ``row`` the owned one, ``column`` the other.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from attncompare.attention.kernels.dropout import drawn_seed

_SMALL = tl.constexpr(0.625)


def additive_context(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_HK: Tensor,
    values_BHSV: Tensor,
    may_attend: Tensor | None,
    causal: bool,
    dropout: float,
) -> Tensor:
    """Return ``softmax(v . tanh(q + k)) values`` (B, H, T, width of the values), where Triton serves.

    Extra memory is linear in T and S, forward and backward. For one seed the same weights are dropped as on the CPU. The
    arguments are those of :func:`attncompare.attention.kernels.fused.dot_context`.
    """
    seed = drawn_seed() if dropout else 0
    inputs = (tensor.float() for tensor in (q_BHTK, k_BHSK, v_HK, values_BHSV))
    return _Additive.apply(*inputs, may_attend, causal, dropout, seed).to(q_BHTK.dtype)


class _Additive(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, values: Tensor, may_attend: Tensor | None, *options: Any
    ) -> Tensor:
        # Where K comes before T and S, one number of many queries is one row of memory.
        tensors = (q.mT.contiguous(), k.mT.contiguous(), v.contiguous(), values.contiguous())
        batch, heads, queries, _ = q.shape
        context = q.new_empty(batch, heads, queries, values.shape[3])
        top, total = q.new_empty(batch, heads, queries), q.new_empty(batch, heads, queries)
        blocks = forward_blocks(queries, k.shape[2], values.shape[3])
        grid = batch * heads * triton.cdiv(queries, blocks["T"]), triton.cdiv(values.shape[3], blocks["V"])
        with torch.cuda.device_of(q):
            _launch(forward, grid, tensors, may_attend, (context, top, total), options, blocks)
        ctx.save_for_backward(*tensors, top, total, may_attend)
        ctx.options = options
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_context: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, top, total, may_attend = ctx.saved_tensors
        q, k, v, values = tensors
        (batch, heads, width, queries), keys = q.shape, k.shape[3]
        known = (d_context.contiguous(), top, total, torch.empty_like(top))  # the last is made with dq and read for dk
        d_q, d_k = q.new_empty(batch, heads, queries, width), k.new_empty(batch, heads, keys, width)
        d_values = torch.empty_like(values)
        blocks = backward_blocks("T", queries, "S", keys, width, values.shape[3])
        shares = triton.cdiv(queries, blocks["T"])
        d_v = v.new_empty(batch, heads, shares, width)
        with torch.cuda.device_of(q):
            made = (*known, d_q, d_v)
            _launch(backward_queries, (batch * heads * shares, 1), tensors, may_attend, made, ctx.options, blocks)
            blocks = key_blocks(queries, keys, width, values.shape[3])
            grid = batch * heads * triton.cdiv(keys, blocks["S"]), triton.cdiv(values.shape[3], blocks["V"])
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
    mask = None if may_attend is None else may_attend.expand(batch, heads, queries, keys).view(torch.uint8)
    strides = (0, 0, 0, 0) if mask is None else mask.stride()
    sizes = (heads, queries, keys, width, values.shape[3], *strides)
    drop = (float(dropout), seed - 2**32 if seed >= 2**31 else seed)
    switches = {"CAUSAL": causal, "MASKED": mask is not None, "DROPOUT": dropout > 0}
    kernel[grid](*tensors, mask, *others, *sizes, *drop, **switches, **blocks)


# A thread has 255 registers: the sizes are those with which ptxas, asked for compute capability 9.0, spills (next to) nothing.
def forward_blocks(queries: int, keys: int, value_width: int) -> dict[str, int]:
    """Return the sizes of a program's tile: the wider what it sums up, the fewer queries."""
    columns = _padded(value_width, 256)
    rows, walked = (32, 64) if columns <= 64 else (16, 32)
    return {"T": _padded(queries, rows), "S": _padded(keys, walked), "V": columns, "num_warps": 4}


def backward_blocks(own: str, owned: int, other: str, others: int, width: int, value_width: int) -> dict[str, int]:
    """Return the sizes of a program's tile: longer in what it walks over where sums are wide, to add to them less often."""
    numbers = _padded(width)
    rows, walked = (32, 32) if numbers <= 64 else (16, 64)
    sizes = {own: _padded(owned, rows), other: _padded(others, walked)}
    return sizes | {"K": numbers, "C": _padded(value_width, 16), "num_warps": 4 if numbers <= 128 else 8}


def key_blocks(queries: int, keys: int, width: int, value_width: int) -> dict[str, int]:
    """Return the sizes for a program that owns keys, and columns of the values, instead of queries."""
    return {**backward_blocks("S", keys, "T", queries, width, value_width), "V": _padded(value_width, 128)}


def _padded(size: int, most: int | None = None) -> int:
    """Return the power of two that holds ``size`` numbers, 16 at least (what a product of tiles needs), ``most`` at most."""
    padded = max(16, triton.next_power_of_2(size))
    return padded if most is None else min(padded, most)


@triton.jit(do_not_specialize=["seed"])
def forward(
    q_ptr, k_ptr, v_ptr, values_ptr, mask_ptr, context_ptr, top_ptr, total_ptr,
    heads, queries, keys, width, value_width, mask_batch, mask_head, mask_query, mask_key, probability, seed,
    CAUSAL: tl.constexpr, MASKED: tl.constexpr, DROPOUT: tl.constexpr,
    T: tl.constexpr, S: tl.constexpr, V: tl.constexpr,
):  # fmt: skip
    """Write the context (B, H, T, V) of T queries and V columns, and each query's largest score and sum."""
    blocks = tl.cdiv(queries, T)
    head = (tl.program_id(0) // blocks).to(tl.int64)  # of all in the batch
    t = (tl.program_id(0) % blocks) * T + tl.arange(0, T)
    c = tl.program_id(1) * V + tl.arange(0, V)
    q_ptr += head * queries * width
    k_ptr += head * keys * width
    v_ptr += head % heads * width
    values_ptr += head * keys * value_width
    if MASKED:
        mask_ptr += head // heads * mask_batch + head % heads * mask_head

    top = tl.full([T], float("-inf"), tl.float32)
    total = tl.zeros([T], tl.float32)
    context = tl.zeros([T, V], tl.float32)
    end = keys
    if CAUSAL:  # the last query of the block sees no further
        end = tl.minimum(keys, (tl.program_id(0) % blocks) * T + T + keys - queries)
    for first in range(0, end, S):
        s = first + tl.arange(0, S)
        scores = tile_scores(q_ptr, k_ptr, v_ptr, t, s, queries, keys, width, T, S)
        visible = may_attend(t[:, None], s[None, :], queries, keys, mask_ptr, mask_query, mask_key, CAUSAL, MASKED)
        scores = tl.where(visible, scores, float("-inf"))
        new_top = tl.maximum(top, tl.max(scores, 1))
        safe_top = tl.where(new_top == float("-inf"), 0.0, new_top)  # nothing seen so far: no infinity minus infinity
        weights = tl.exp(scores - safe_top[:, None])
        shrink = tl.exp(top - safe_top)
        total = total * shrink + tl.sum(weights, 1)
        if DROPOUT:
            weights *= dropout_factors(t[:, None], s[None, :], head, queries, seed, probability)
        values = part(values_ptr, s[:, None], c[None, :], keys, value_width)
        context = context * shrink[:, None] + tl.dot(weights, values, input_precision="ieee")
        top = new_top

    blind = top == float("-inf")
    total = tl.where(blind, float("inf"), total)
    at = context_ptr + (head * queries + t[:, None]) * value_width + c[None, :]
    tl.store(at, context / total[:, None], mask=(t[:, None] < queries) & (c[None, :] < value_width))
    if tl.program_id(1) == 0:
        tl.store(top_ptr + head * queries + t, tl.where(blind, 0.0, top), mask=t < queries)
        tl.store(total_ptr + head * queries + t, total, mask=t < queries)


@triton.jit(do_not_specialize=["seed"])
def backward_queries(
    q_ptr, k_ptr, v_ptr, values_ptr, mask_ptr, d_context_ptr, top_ptr, total_ptr, delta_ptr, d_q_ptr, d_v_ptr,
    heads, queries, keys, width, value_width, mask_batch, mask_head, mask_query, mask_key, probability, seed,
    CAUSAL: tl.constexpr, MASKED: tl.constexpr, DROPOUT: tl.constexpr,
    T: tl.constexpr, S: tl.constexpr, K: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write dq (B, H, T, K) of T queries, their share of dv (B, H, blocks, K), and each query's weighted sum of gradients."""
    blocks = tl.cdiv(queries, T)
    head = (tl.program_id(0) // blocks).to(tl.int64)
    t = (tl.program_id(0) % blocks) * T + tl.arange(0, T)
    q_ptr += head * queries * width
    k_ptr += head * keys * width
    v_ptr += head % heads * width
    values_ptr += head * keys * value_width
    d_context_ptr += head * queries * value_width
    if MASKED:
        mask_ptr += head // heads * mask_batch + head % heads * mask_head
    top = tl.load(top_ptr + head * queries + t, mask=t < queries, other=0.0)
    total = tl.load(total_ptr + head * queries + t, mask=t < queries, other=float("inf"))
    end = keys
    if CAUSAL:
        end = tl.minimum(keys, (tl.program_id(0) % blocks) * T + T + keys - queries)
    # What is taken off a query's gradients is the sum of these very numbers, so that they add up to 0 as the formula's do; its
    # product with the rounded context, as FlashAttention takes it, would leave more in dq and dv than there is where h is small.
    delta = tl.zeros([T], tl.float32)
    for first in range(0, end, S):
        weights, d_weights = weights_and_gradients(
            q_ptr, k_ptr, v_ptr, values_ptr, mask_ptr, d_context_ptr, top, total, t, first + tl.arange(0, S), head,
            queries, keys, width, value_width, mask_query, mask_key, probability, seed, CAUSAL, MASKED, DROPOUT, T, S, C,
        )  # fmt: skip
        delta += tl.sum(weights * d_weights, 1)
    tl.store(delta_ptr + head * queries + t, delta, mask=t < queries)

    i_K = tl.arange(0, K)
    d_q = tl.zeros([T, K], tl.float32)
    d_v = tl.zeros([T, K], tl.float32)
    for first in range(0, end, S):
        s = first + tl.arange(0, S)
        weights, d_weights = weights_and_gradients(
            q_ptr, k_ptr, v_ptr, values_ptr, mask_ptr, d_context_ptr, top, total, t, s, head,
            queries, keys, width, value_width, mask_query, mask_key, probability, seed, CAUSAL, MASKED, DROPOUT, T, S, C,
        )  # fmt: skip
        d_scores = weights * (d_weights - delta[:, None])
        for i in range(width):
            h = tile_tanh(q_ptr, k_ptr, i, t, s, queries, keys)
            here = i_K[None, :] == i
            d_q += tl.where(here, tl.sum(d_scores * (1 - h * h), 1)[:, None], 0.0)
            d_v += tl.where(here, tl.sum(d_scores * h, 1)[:, None], 0.0)

    v = tl.load(v_ptr + i_K, mask=i_K < width, other=0.0)
    at = d_q_ptr + (head * queries + t[:, None]) * width + i_K[None, :]
    tl.store(at, d_q * v[None, :], mask=(t[:, None] < queries) & (i_K[None, :] < width))
    tl.store(d_v_ptr + tl.program_id(0).to(tl.int64) * width + i_K, tl.sum(d_v, 0), mask=i_K < width)


@triton.jit(do_not_specialize=["seed"])
def backward_keys(
    q_ptr, k_ptr, v_ptr, values_ptr, mask_ptr, d_context_ptr, top_ptr, total_ptr, delta_ptr, d_k_ptr, d_values_ptr,
    heads, queries, keys, width, value_width, mask_batch, mask_head, mask_query, mask_key, probability, seed,
    CAUSAL: tl.constexpr, MASKED: tl.constexpr, DROPOUT: tl.constexpr,
    T: tl.constexpr, S: tl.constexpr, K: tl.constexpr, V: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write dvalues (B, H, S, V) of S keys and V columns, and from the first columns' program dk (B, H, S, K)."""
    blocks = tl.cdiv(keys, S)
    head = (tl.program_id(0) // blocks).to(tl.int64)
    begin = (tl.program_id(0) % blocks) * S
    s = begin + tl.arange(0, S)
    own_c = tl.program_id(1) * V + tl.arange(0, V)
    q_ptr += head * queries * width
    k_ptr += head * keys * width
    v_ptr += head % heads * width
    values_ptr += head * keys * value_width
    d_context_ptr += head * queries * value_width
    if MASKED:
        mask_ptr += head // heads * mask_batch + head % heads * mask_head

    i_K = tl.arange(0, K)
    d_k = tl.zeros([S, K], tl.float32)
    d_values = tl.zeros([S, V], tl.float32)
    start = 0
    if CAUSAL:  # earlier queries see none of these keys
        start = tl.maximum(0, begin + queries - keys) // T * T
    for first in range(start, queries, T):
        t = first + tl.arange(0, T)
        top = tl.load(top_ptr + head * queries + t, mask=t < queries, other=0.0)
        total = tl.load(total_ptr + head * queries + t, mask=t < queries, other=float("inf"))
        scores = tile_scores(k_ptr, q_ptr, v_ptr, s, t, keys, queries, width, S, T)
        visible = may_attend(t[None, :], s[:, None], queries, keys, mask_ptr, mask_query, mask_key, CAUSAL, MASKED)
        weights = tl.where(visible, tl.exp(scores - top[None, :]) / total[None, :], 0.0)
        kept = weights
        if DROPOUT:
            factors = dropout_factors(t[None, :], s[:, None], head, queries, seed, probability)
            kept = weights * factors
        d_context = part(d_context_ptr, t[:, None], own_c[None, :], queries, value_width)
        d_values += tl.dot(kept, d_context, input_precision="ieee")
        if tl.program_id(1) == 0:
            d_weights = tl.zeros([S, T], tl.float32)
            for chunk in range(0, value_width, C):
                c = chunk + tl.arange(0, C)
                values = part(values_ptr, s[:, None], c[None, :], keys, value_width)
                d_context_CT = part(d_context_ptr, t[None, :], c[:, None], queries, value_width)
                d_weights += tl.dot(values, d_context_CT, input_precision="ieee")
            if DROPOUT:
                d_weights *= factors
            delta = tl.load(delta_ptr + head * queries + t, mask=t < queries, other=0.0)
            d_scores = tl.where(visible, weights * (d_weights - delta[None, :]), 0.0)
            for i in range(width):
                h = tile_tanh(k_ptr, q_ptr, i, s, t, keys, queries)
                d_k += tl.where(i_K[None, :] == i, tl.sum(d_scores * (1 - h * h), 1)[:, None], 0.0)

    at = d_values_ptr + (head * keys + s[:, None]) * value_width + own_c[None, :]
    tl.store(at, d_values, mask=(s[:, None] < keys) & (own_c[None, :] < value_width))
    if tl.program_id(1) == 0:
        v = tl.load(v_ptr + i_K, mask=i_K < width, other=0.0)
        d_k_at = d_k_ptr + (head * keys + s[:, None]) * width + i_K[None, :]
        tl.store(d_k_at, d_k * v[None, :], mask=(s[:, None] < keys) & (i_K[None, :] < width))


@triton.jit
def tanh(x):
    """Return tanh(x) within 2 units in the last place or so (Moshier's Cephes, tanhf), 1 for infinity, NaN for NaN.

    Triton's own is a call into a library that is not there when kernels are interpreted.
    """
    a = tl.abs(x)
    z = x * x
    p = -5.70498872745e-3 * z + 2.06390887954e-2
    p = p * z - 5.37397155531e-2
    p = p * z + 1.33314422036e-1
    p = p * z - 3.33332819422e-1
    near = p * z * x + x
    far = 1 - 2 / (tl.exp(2 * a) + 1)  # beyond 44 the exponential is infinite and this 1
    return tl.where(a < _SMALL, near, tl.where(x < 0, -far, far))


@triton.jit
def tile_scores(
    row_ptr, column_ptr, v_ptr, rows, columns, row_count, column_count, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Return ``sum over i of v[i] * tanh(row[i] + column[i])``; queries and keys are stored (K, T) and (K, S)."""
    scores = tl.zeros([ROWS, COLUMNS], tl.float32)
    for i in range(width):
        h = tile_tanh(row_ptr, column_ptr, i, rows, columns, row_count, column_count)
        scores += tl.load(v_ptr + i) * h
    return scores


@triton.jit
def weights_and_gradients(
    q_ptr, k_ptr, v_ptr, values_ptr, mask_ptr, d_context_ptr, top, total, t, s, head,
    queries, keys, width, value_width, mask_query, mask_key, probability, seed,
    CAUSAL: tl.constexpr, MASKED: tl.constexpr, DROPOUT: tl.constexpr, T: tl.constexpr, S: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Return the weights of a tile (t, s), 0 where nothing may be seen, and their gradients before the softmax's."""
    scores = tile_scores(q_ptr, k_ptr, v_ptr, t, s, queries, keys, width, T, S)
    visible = may_attend(t[:, None], s[None, :], queries, keys, mask_ptr, mask_query, mask_key, CAUSAL, MASKED)
    weights = tl.where(visible, tl.exp(scores - top[:, None]) / total[:, None], 0.0)
    d_weights = tl.zeros([T, S], tl.float32)
    for chunk in range(0, value_width, C):
        c = chunk + tl.arange(0, C)
        d_context = part(d_context_ptr, t[:, None], c[None, :], queries, value_width)
        values = part(values_ptr, s[None, :], c[:, None], keys, value_width)
        d_weights += tl.dot(d_context, values, input_precision="ieee")
    if DROPOUT:
        d_weights *= dropout_factors(t[:, None], s[None, :], head, queries, seed, probability)
    return weights, tl.where(visible, d_weights, 0.0)


@triton.jit
def tile_tanh(row_ptr, column_ptr, i, rows, columns, row_count, column_count):
    """Return ``tanh(row[i] + column[i])`` of a tile; what lies outside counts as 0."""
    row = tl.load(row_ptr + i * row_count + rows, mask=rows < row_count, other=0.0)
    column = tl.load(column_ptr + i * column_count + columns, mask=columns < column_count, other=0.0)
    return tanh(row[:, None] + column[None, :])


@triton.jit
def part(matrix_ptr, row, column, rows, columns):
    """Return a part of a matrix that is stored row by row; ``row`` and ``column`` have its two axes, outside is 0."""
    return tl.load(matrix_ptr + row * columns + column, mask=(row < rows) & (column < columns), other=0.0)


@triton.jit
def may_attend(t, s, queries, keys, mask_ptr, mask_query, mask_key, CAUSAL: tl.constexpr, MASKED: tl.constexpr):
    """Return which pairs of a tile count: ``t`` and ``s`` have the tile's two axes, one of them of length 1."""
    visible = (t < queries) & (s < keys)
    if CAUSAL:
        visible = visible & (s <= t + keys - queries)
    if MASKED:
        at = mask_ptr + t.to(tl.int64) * mask_query + s.to(tl.int64) * mask_key
        visible = visible & (tl.load(at, mask=visible, other=0) != 0)
    return visible


@triton.jit
def dropout_factors(t, s, head, queries, seed, probability):
    """Return 0 or 1 / (1 - probability) for each pair of a tile: the numbers that vector.h gives."""
    row = (head * queries + t).to(tl.uint32)
    bits = _random_bits(s.to(tl.uint32), _random_bits(row, seed.to(tl.uint32, bitcast=True)))
    uniform = (bits >> 8).to(tl.float32) * 5.9604644775390625e-08  # 2^-24
    return tl.where(uniform < probability, 0.0, 1 / (1 - probability))


@triton.jit
def _random_bits(counter, key):
    x = (counter * 0x9E3779B9) ^ key
    x = (x ^ (x >> 16)) * 0x21F0AAAD
    x = (x ^ (x >> 15)) * 0xD35A2D97
    return x ^ (x >> 15)
