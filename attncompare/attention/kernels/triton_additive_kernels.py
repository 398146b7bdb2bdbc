"""Additive attention, softmax(v . tanh(q + k)) values, forward and backward, in memory linear in T and S.

One program owns a block of queries (forward, dq and dv) or of keys (dk and dvalues) of one head and walks over the other
axis tile by tile, as in FlashAttention-2 (Dao 2023, algorithms 1 and 2). A score costs K values of tanh here and no product
of matrices, so within a tile a loop goes over K, with one row of queries and one of keys at a time. The backward pass makes
scores and weights again from each query's largest score and its sum of exponentials. With g the gradient of a score and
h = tanh(q + k): dq = dk = v * sum of g (1 - h^2), dv = sum of g h. Nothing is added to memory that another program adds to:
the order of every sum, and with it every bit, is always the same.
"""

import triton
import triton.language as tl

from attncompare.attention.kernels.triton_additive_parts import (
    dropout_factors,
    may_attend,
    part,
    tile_scores,
    tile_tanh,
    weights_and_gradients,
)


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
