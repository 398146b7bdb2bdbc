"""Softmax with a place to attend to nothing (Miller 2023, "Attention is off by one"; OpenAI 2025, gpt-oss)."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from attncompare.attention.kernels.flex import flex_context, flex_serves
from attncompare.attention.normalizers.base import Normalizer
from attncompare.attention.normalizers.softmax import masked_softmax
from attncompare.attention.scores.base import ScoreFunction, repeated
from attncompare.attention.scores.dot import Dot
from attncompare.config.values import PartConfig


class Sink(Normalizer):
    """``exp(score_s) / (exp(b) + sum over visible u of exp(score_u))``: what ``b`` takes goes to no value.

    ``b`` is 0 ("softmax1"; Miller 2023), or with ``learned`` a number for each head that begins there (gpt-oss model card 2025,
    section 2). The weights sum to less than one.
    """

    class Config(PartConfig):
        """Whether the sink is trained."""

        learned: bool = False

    sums_to_one = False

    def __init__(self, heads: int, learned: bool) -> None:
        super().__init__(heads)
        if learned:
            self.b_H = nn.Parameter(torch.zeros(heads))
        else:
            self.register_buffer("b_H", torch.zeros(1), persistent=False)

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:  # noqa: ARG002
        """Set ``b`` to 0."""
        assert name == "b_H"
        parameter.zero_()

    def forward(self, scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
        """Return the weights (B, H, T, S)."""
        sink_BHT1 = self.b_H.to(scores_BHTS.dtype)[:, None, None].expand(*scores_BHTS.shape[:-1], 1)
        with_sink = None
        if may_attend is not None:  # may say the same of all keys at once
            with_sink = F.pad(may_attend.expand(*may_attend.shape[:-1], scores_BHTS.shape[-1]), (0, 1), value=True)
        return masked_softmax(torch.cat((scores_BHTS, sink_BHT1), -1), with_sink)[..., :-1]

    def context(
        self,
        score: ScoreFunction,
        q_BHTK: Tensor,
        k_BHSK: Tensor,
        v_BHSV: Tensor,
        may_attend: Tensor | None,
        causal: bool,
        dropout: float,
        bias: Tensor | None = None,
    ) -> Tensor | None:
        """Return the context (B, H, T, V) of dot products by FlexAttention where that serves.

        The softmax without the sink, times what the sink leaves: ``sigmoid(log sum exp(score) - b)``.
        """
        if not isinstance(score, Dot) or not flex_serves(q_BHTK, dropout):
            return None
        heads = q_BHTK.shape[1]
        q_BHTK, k_BHSK = score.operands(q_BHTK, repeated(k_BHSK, heads))
        context_BHTV, sums_BHT = flex_context(
            q_BHTK, k_BHSK, repeated(v_BHSV, heads), may_attend, causal, score.scale, bias=bias
        )
        return context_BHTV * (sums_BHT - self.b_H[:, None]).sigmoid()[..., None].to(context_BHTV.dtype)
