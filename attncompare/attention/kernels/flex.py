"""Attention whose scores are changed one by one, by torch's FlexAttention on CUDA (Dong et al. 2024).

It computes what the explicit path does, without the scores in memory, and leaves out blocks that a mask hides whole. Elsewhere
than on CUDA it is no faster than the explicit path, and serves tests alone.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

Change = Callable[[Tensor], Tensor]


def flex_serves(q_BHTK: Tensor, dropout: float) -> bool:
    """Return whether FlexAttention is the way to compute it: on CUDA, for more than one query, without dropout."""
    return q_BHTK.device.type == "cuda" and q_BHTK.shape[2] > 1 and dropout == 0 and q_BHTK.dtype != torch.float64


def flex_context(
    q_BHTK: Tensor,
    k_BHSK: Tensor,
    v_BHSV: Tensor,
    may_attend: Tensor | None,
    causal: bool,
    scale: float,
    change: Change | None = None,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return ``softmax(change(scale q . k) + bias) v`` (B, H, T, V), and the logarithms (B, H, T) of the softmax's sums.

    Args:
        q_BHTK: queries.
        k_BHSK: keys.
        v_BHSV: values.
        may_attend: boolean, broadcastable to (B, H, T, S); a query that may attend to nothing gets zeros,
            and a sum of 0.
        causal: also hide the future; the last query stands at the last key.
        scale: what products are multiplied with.
        change: what becomes of each score; None: it stays.
        bias: what is added afterwards, broadcastable to (B, H, T, S).
    """
    # Imported here, as it is slow and seldom used.
    from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, flex_attention

    B, H, T = q_BHTK.shape[:3]
    S = k_BHSK.shape[2]
    seen = None if may_attend is None else may_attend.expand(B, H, T, S)
    added = None if bias is None else bias.expand(B, H, T, S)

    def scored(score: Tensor, b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:
        score = score if change is None else change(score)
        return score if added is None else score + added[b, h, t, s]

    def visible(b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:
        open_here = s <= t + (S - T) if causal else s >= 0
        return open_here if seen is None else open_here & seen[b, h, t, s]

    mask: Any = None
    if causal or seen is not None:
        rows, heads = (B, H) if seen is not None else (None, None)
        mask = create_block_mask(visible, rows, heads, T, S, device=str(q_BHTK.device))
    run: Any = _compiled(flex_attention) if q_BHTK.device.type == "cuda" else flex_attention
    options = {"score_mod": scored, "block_mask": mask, "scale": scale, "return_aux": AuxRequest(lse=True)}
    context_BHTV, beside = run(q_BHTK, k_BHSK, v_BHSV, **options)
    return context_BHTV, beside.lse


@cache
def _compiled(attention: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(attention, dynamic=True)
