"""What a score function is, and the explicit path from scores to context that serves all of them."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from attncompare.attention.masks import causal_mask, combine


class ScoreFunction(nn.Module):
    """How well each key answers each query: ``(q_BHTK, k_BHSK) -> scores_BHTS``.

    A new score function implements :meth:`forward` and :meth:`flops_per_score`; one with parameters also :meth:`initial_`. It may
    override :meth:`context` with a faster kernel for the same mathematics.

    Args:
        heads: number H of heads.
        head_dim: width K of a head.
    """

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = head_dim

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S)."""
        raise NotImplementedError

    def flops_per_score(self) -> int:
        """Return the additions, multiplications and function values that one number of scores_BHTS costs."""
        raise NotImplementedError

    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Fill ``parameter``, called ``name``, with its initial values, drawn from ``generator``."""
        raise NotImplementedError(f"{type(self).__name__} has a parameter {name} but no initial_ for it")

    @classmethod
    def holds_weights(cls, device: str, dropout: float) -> bool:  # noqa: ARG003  (those with kernels ask)
        """Return whether :meth:`context` holds the weights of a whole batch on a device (``cpu``, ``cuda``), for planning.

        One that overrides :meth:`context` is taken not to.
        """
        return cls.context is ScoreFunction.context

    def context(
        self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, may_attend: Tensor | None, causal: bool, dropout: float
    ) -> Tensor:
        """Return the context (B, H, T, K) alone, as fast as this score can."""
        return self.context_and_weights(q_BHTK, k_BHSK, v_BHSK, may_attend, causal, dropout)[0]

    def context_and_weights(
        self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, may_attend: Tensor | None, causal: bool, dropout: float
    ) -> tuple[Tensor, Tensor]:
        """Return the context (B, H, T, K) and the weights (B, H, T, S) before dropout, computed explicitly."""
        if causal:
            may_attend = combine(may_attend, causal_mask(q_BHTK.shape[2], k_BHSK.shape[2], q_BHTK.device))
        weights_BHTS = masked_softmax(self(q_BHTK, k_BHSK), may_attend)
        return F.dropout(weights_BHTS, dropout) @ v_BHSK, weights_BHTS


def masked_softmax(scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
    """Return the weights; blocked keys get exactly 0, and so does all of a row that may attend to nothing (C2)."""
    if may_attend is None:
        return scores_BHTS.softmax(dim=-1)
    # A row of -inf alone would become NaN, forward and backward, so such a row is opened first and zeroed afterwards.
    has_key = may_attend.any(dim=-1, keepdim=True)
    blocked = ~may_attend & has_key
    weights_BHTS = scores_BHTS.masked_fill(blocked, -torch.inf).softmax(dim=-1)
    return weights_BHTS.masked_fill(~has_key, 0.0)
