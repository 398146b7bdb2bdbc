"""Softmax, the normalizer of almost all attention (Bahdanau et al. 2014, equation 6; Vaswani et al. 2017, equation 1)."""

from typing import Any

import torch
from torch import Tensor

from attncompare.attention.normalizers.base import Normalizer, hidden_and_rows
from attncompare.attention.scores.base import ScoreFunction


class Softmax(Normalizer):
    """``exp(score_s) / sum over visible u of exp(score_u)``."""

    def forward(self, scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
        """Return the weights (B, H, T, S)."""
        return masked_softmax(scores_BHTS, may_attend)

    def context(self, score: ScoreFunction, *tensors: Any, **options: Any) -> Tensor | None:
        """Return the context by the kernel of the score."""
        return score.context(*tensors, **options)


def masked_softmax(scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
    """Return the softmax over the keys that may be attended to, with zeros for all others."""
    if may_attend is None:
        return scores_BHTS.softmax(dim=-1)
    hidden, sees_any = hidden_and_rows(may_attend)
    return scores_BHTS.masked_fill(hidden, -torch.inf).softmax(dim=-1).masked_fill(~sees_any, 0.0)
