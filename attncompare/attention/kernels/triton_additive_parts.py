"""What the kernels of additive attention share: each function works on a tile of queries (t) and keys (s) of one head.

The names of tensors end in the axes of the tile. A kernel that owns queries has tiles (t, s), one that owns keys (s, t),
so that what it sums over is always the last axis; ``row`` is the owned axis then, ``column`` the other one.
"""

import triton
import triton.language as tl

_SMALL = tl.constexpr(0.625)


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
    """Return 0 or 1 / (1 - probability) for each pair of a tile: the numbers that native/vector.h gives."""
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
