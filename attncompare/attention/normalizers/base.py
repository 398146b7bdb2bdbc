"""What a normalizer is: how scores become weights."""

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor

from attncompare.attention.parts import Part, Section, make_part
from attncompare.attention.scores.base import ScoreFunction


class Normalizer(Part):
    """How scores become the weights of values: ``(scores_BHTS, may_attend) -> weights_BHTS``.

    Whatever it is, hidden keys get a weight of exactly 0, and a query that may attend to nothing gets 0 everywhere, forward
    and backward. What a query's weights are depends on its own scores and on what it may see alone, so that padding, the
    rest of the batch and a cache change nothing.

    Args:
        heads: number H of heads.
    """

    sums_to_one: ClassVar[bool] = True
    """Whether the weights of a query that may attend to something sum to one."""
    hidden_cancel: ClassVar[bool] = False
    """Whether the scores of hidden keys are computed with and cancel, which holds up to rounding alone."""
    needs_float32: ClassVar[bool] = False
    """Whether it chooses keys by differences that half precision does not hold."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    @abstractmethod
    def forward(self, scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
        """Return the weights (B, H, T, S); ``may_attend`` is boolean and broadcastable to them, None: everything."""

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
        """Return ``normalizer(score + bias) v`` (B, H, T, V) by a kernel that computes exactly that; None where there is none.

        Keys and values may have fewer heads where the score says so (``shares_keys``).
        """


def make_normalizer(normalizer: Section, heads: int) -> Normalizer:
    """Return a normalizer by its name, or by a section of its name and settings; raises Refused as :func:`make_part`."""
    made: Normalizer = make_part("normalizers", normalizer, heads)
    return made


def hidden_and_rows(may_attend: Tensor) -> tuple[Tensor, Tensor]:
    """Return which keys are hidden from queries that see others, and which queries see any (..., T, 1).

    A row of -inf alone would become NaN, forward and backward: it is computed as if open, and zeroed afterwards.
    """
    sees_any = may_attend.any(dim=-1, keepdim=True)
    return ~may_attend & sees_any, sees_any


def visible_counts(scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
    """Return how many keys each query may attend to, broadcastable to (B, H, T, 1), at least 1."""
    if may_attend is None:
        return scores_BHTS.new_tensor(scores_BHTS.shape[-1])
    return (
        may_attend.expand(*may_attend.shape[:-1], scores_BHTS.shape[-1])
        .sum(-1, keepdim=True)
        .clamp(min=1)
        .to(scores_BHTS)
    )
