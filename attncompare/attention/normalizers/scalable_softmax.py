"""Softmax that stays sharp however many keys there are (Scalable-Softmax; Nakanishi 2025)."""

import torch
from torch import Generator, Tensor, nn

from attncompare.attention.normalizers.base import Normalizer, visible_counts
from attncompare.attention.normalizers.softmax import masked_softmax
from attncompare.config.values import PartConfig, PositiveFloat


class ScalableSoftmax(Normalizer):
    """``n ** (s score) / sum n ** (s score)`` for n visible keys, ``s`` learned for each head (Nakanishi 2025, equation 3)."""

    class Config(PartConfig):
        """The value of ``s`` at first."""

        s: PositiveFloat = 0.43

    def __init__(self, heads: int, s: float) -> None:
        super().__init__(heads)
        self.s = s
        self.s_H = nn.Parameter(torch.full((heads,), s))

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:  # noqa: ARG002
        """Set ``s`` to its first value."""
        assert name == "s_H"
        parameter.fill_(self.s)

    def forward(self, scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
        """Return the weights (B, H, T, S)."""
        logs = visible_counts(scores_BHTS, may_attend).log()
        return masked_softmax(scores_BHTS * self.s_H.to(scores_BHTS.dtype)[:, None, None] * logs, may_attend)
