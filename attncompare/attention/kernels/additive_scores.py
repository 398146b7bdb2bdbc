"""Additive scores (Bahdanau et al. 2014) by torch, in bounded memory: what is computed where no kernel serves.

The plain formula holds B*H*T*S*K numbers, 6.4 GB for a batch of 64 with 6 heads, 256 tokens and K = 64. Here tiles of at most
``TILE_NUMBERS`` exist one at a time, small enough to stay in a core's cache, and are made again in the backward pass.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TILE_NUMBERS = 1 << 18


def additive_scores(q_BHTK: Tensor, k_BHSK: Tensor, v_HK: Tensor) -> Tensor:
    """Return ``scores[b,h,t,s] = sum over i of v[h,i] * tanh(q[b,h,t,i] + k[b,h,s,i])``.

    Args:
        q_BHTK: queries (B, H, T, K).
        k_BHSK: keys (B, H, S, K).
        v_HK: the vector v of each head (H, K).

    Returns:
        The scores (B, H, T, S) in the type of q, computed in float32 at least, under autocast too; differentiable once.
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
        with torch.autocast(q_NTK.device.type, enabled=False):  # it would give the products half their bits
            for n, t in _tiles(q_NTK, k_NSK):
                h_ntSK = (q_NTK[n, t, None] + k_NSK[n, None]).tanh_()
                scores_NTS[n, t] = (h_ntSK.flatten(1, 2) @ v_NK[n, :, None]).view_as(scores_NTS[n, t])
        return scores_NTS

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_scores_NTS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With g = d_scores and h = tanh(q + k): dq = v * sum_s g (1 - h^2), dk the same over t, dv = sum_ts g h."""
        q_NTK, k_NSK, v_NK = ctx.saved_tensors
        dq_NTK, dk_NSK, dv_NK = torch.empty_like(q_NTK), torch.zeros_like(k_NSK), torch.zeros_like(v_NK)
        one = q_NTK.new_ones(())
        with torch.autocast(q_NTK.device.type, enabled=False):
            for n, t in _tiles(q_NTK, k_NSK):
                h_ntSK, g_ntS = (q_NTK[n, t, None] + k_NSK[n, None]).tanh_(), d_scores_NTS[n, t]
                # Summed query by query: one chain over the t * S numbers of a tile would round ten times as much away.
                dv_NK[n] += (g_ntS.unsqueeze(2) @ h_ntSK).sum(dim=(1, 2))
                slope_ntSK = torch.addcmul(one, h_ntSK, h_ntSK, value=-1, out=h_ntSK).mul_(g_ntS.unsqueeze(-1))
                dq_NTK[n, t] = slope_ntSK.sum(dim=2)
                dk_NSK[n] += slope_ntSK.sum(dim=1)
        v_N1K = v_NK[:, None]
        return dq_NTK.mul_(v_N1K), dk_NSK.mul_(v_N1K), dv_NK


def _tiles(q_NTK: Tensor, k_NSK: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut N and T so that a tile with all S and K holds at most TILE_NUMBERS numbers (one query of one head at least)."""
    rows, queries, width = q_NTK.shape
    one_query = max(1, k_NSK.shape[1] * width)
    t = max(1, min(queries, TILE_NUMBERS // one_query))
    n = max(1, TILE_NUMBERS // (one_query * t))
    for row in range(0, rows, n):
        for query in range(0, queries, t):
            yield slice(row, row + n), slice(query, query + t)
