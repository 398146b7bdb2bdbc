"""Additive scores in bounded memory: tiles of ``tanh(q + k)``, made again in the backward pass instead of kept.

The plain formula holds B*H*T*S*K numbers, 6.4 GB for a batch of 64 with 6 heads, 256 tokens and K = 64. Here at most
``TILE_NUMBERS`` of them exist at a time, few enough to stay in a core's cache.

No tanh is taken inside a tile either. With r = 1 / (1 + e^(2q) e^(2k)),

    tanh(q + k) = 1 - 2 r,    d tanh(q + k) = 4 r (1 - r),

so that (T + S) * K exponentials serve T * S * K products and reciprocals. Where an exponential would overflow, |q| or |k| beyond
``_LIMIT``, the tile is made from tanh itself: r = (1 - tanh(q + k)) / 2.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TILE_NUMBERS = 1 << 18
# e^(2x) of the largest x, and of its negative, are normal numbers well inside the type's range.
_LIMIT = {torch.float32: 40.0, torch.float64: 340.0}


def additive_scores(q_BHTK: Tensor, k_BHSK: Tensor, v_HK: Tensor) -> Tensor:
    """Return ``scores[b,h,t,s] = sum over i of v[h,i] * tanh(q[b,h,t,i] + k[b,h,s,i])``.

    Args:
        q_BHTK: queries (B, H, T, K).
        k_BHSK: keys (B, H, S, K).
        v_HK: the vector v of each head (H, K).

    Returns:
        The scores (B, H, T, S) in the type of q, computed in float32 at least; differentiable once.
    """
    batch, heads, queries, width = q_BHTK.shape
    keys = k_BHSK.shape[2]
    precise = torch.promote_types(q_BHTK.dtype, torch.float32)
    q_NTK = q_BHTK.reshape(batch * heads, queries, width).to(precise)  # N = B * H
    k_NSK = k_BHSK.reshape(batch * heads, keys, width).to(precise)
    v_NK = v_HK.expand(batch, heads, width).reshape(batch * heads, width).to(precise)
    return _AdditiveScores.apply(q_NTK, k_NSK, v_NK).view(batch, heads, queries, keys).to(q_BHTK.dtype)


class _AdditiveScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q_NTK: Tensor, k_NSK: Tensor, v_NK: Tensor) -> Tensor:
        ctx.save_for_backward(q_NTK, k_NSK, v_NK)
        scores_NTS = q_NTK.new_empty(q_NTK.shape[0], q_NTK.shape[1], k_NSK.shape[1])
        make_tile = _tile_maker(q_NTK, k_NSK)
        for n, t in _tiles(q_NTK, k_NSK):
            scores_NTS[n, t] = (make_tile(n, t).flatten(1, 2) @ v_NK[n, :, None]).view_as(scores_NTS[n, t])
        return scores_NTS.mul_(-2).add_(v_NK.sum(-1)[:, None, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_scores_NTS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With g = d_scores: dq = 4 v * sum_s g r (1 - r), dk the same over t, dv = sum_ts g (1 - 2 r)."""
        q_NTK, k_NSK, v_NK = ctx.saved_tensors
        dq_NTK, dk_NSK = torch.empty_like(q_NTK), torch.zeros_like(k_NSK)
        g_r_NK = torch.zeros_like(v_NK)
        make_tile = _tile_maker(q_NTK, k_NSK)
        for n, t in _tiles(q_NTK, k_NSK):
            r_ntSK, g_ntS = make_tile(n, t), d_scores_NTS[n, t]
            g_r_NK[n] += (g_ntS.reshape(g_ntS.shape[0], 1, -1) @ r_ntSK.flatten(1, 2)).squeeze(1)
            slope_ntSK = torch.addcmul(r_ntSK, r_ntSK, r_ntSK, value=-1, out=r_ntSK).mul_(g_ntS.unsqueeze(-1))
            dq_NTK[n, t] = slope_ntSK.sum(dim=2)
            dk_NSK[n] += slope_ntSK.sum(dim=1)
        v4_N1K = 4 * v_NK[:, None]
        dv_NK = d_scores_NTS.sum(dim=(1, 2))[:, None] - 2 * g_r_NK
        return dq_NTK.mul_(v4_N1K), dk_NSK.mul_(v4_N1K), dv_NK


def _tile_maker(q_NTK: Tensor, k_NSK: Tensor) -> Callable[[slice, slice], Tensor]:
    """Return the function that makes ``r = (1 - tanh(q + k)) / 2`` for one tile, (n, t, S, K)."""
    limit = _LIMIT[q_NTK.dtype]
    # Written so that NaN takes the second way, which hands it on.
    if bool(q_NTK.numel() == 0 or k_NSK.numel() == 0 or (q_NTK.abs().max() < limit) & (k_NSK.abs().max() < limit)):
        exp_q_NTK, exp_k_NSK = (2 * q_NTK).exp(), (2 * k_NSK).exp()
        return lambda n, t: (exp_q_NTK[n, t, None, :] * exp_k_NSK[n, None]).add_(1).reciprocal_()
    return lambda n, t: (q_NTK[n, t, None, :] + k_NSK[n, None]).tanh_().neg_().add_(1).mul_(0.5)


def _tiles(q_NTK: Tensor, k_NSK: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut N and T so that a tile with all S and K holds at most TILE_NUMBERS numbers (one query of one head at least)."""
    rows, queries, width = q_NTK.shape
    one_query = max(1, k_NSK.shape[1] * width)
    t = max(1, min(queries, TILE_NUMBERS // one_query))
    n = max(1, TILE_NUMBERS // (one_query * t))
    for row in range(0, rows, n):
        for query in range(0, queries, t):
            yield slice(row, row + n), slice(query, query + t)
