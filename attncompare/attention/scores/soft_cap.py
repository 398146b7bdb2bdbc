"""A bound on any score (Gemma Team 2024, Gemma 2, section 2)."""

from torch import Tensor

from attncompare.attention.kernels.flex import flex_context, flex_serves
from attncompare.attention.parts import Section
from attncompare.attention.places import Places
from attncompare.attention.scores.base import ScoreFunction, make_score
from attncompare.attention.scores.dot import Dot
from attncompare.config.values import PartConfig, PositiveFloat, part


class SoftCap(ScoreFunction):
    """``cap * tanh(score / cap)`` (Gemma Team 2024, section 2, "logit soft-capping", which takes 50). 3 operations more."""

    class Config(PartConfig):
        """The bound, and the score that is bounded."""

        cap: PositiveFloat = 50.0
        score: part("scores") = PartConfig(name="scaled")  # type: ignore[valid-type]

    def __init__(self, heads: int, head_dim: int, cap: float, score: Section) -> None:
        super().__init__(heads, head_dim)
        self.cap, self.score = cap, make_score(score, heads, head_dim)
        self.longest, self.rotation_invariant = self.score.longest, self.score.rotation_invariant

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S)."""
        return self._capped(self.score(q_BHTK, k_BHSK))

    def at(self, q_BHTK: Tensor, k_BHSK: Tensor, places: Places) -> Tensor:
        """Return the scores of queries and keys that stand at ``places``."""
        return self._capped(self.score.at(q_BHTK, k_BHSK, places))

    def context(
        self,
        q_BHTK: Tensor,
        k_BHSK: Tensor,
        v_BHSV: Tensor,
        may_attend: Tensor | None,
        causal: bool,
        dropout: float,
        bias: Tensor | None = None,
    ) -> Tensor | None:
        """Return the context (B, H, T, V) of a bounded dot product by FlexAttention where that serves."""
        if not isinstance(self.score, Dot) or not flex_serves(q_BHTK, dropout):
            return None
        operands = self.score.operands(q_BHTK, k_BHSK)
        return flex_context(*operands, v_BHSV, may_attend, causal, self.score.scale, self._capped, bias)[0]

    def flops_per_query(self) -> int:
        """Return those of the score."""
        return self.score.flops_per_query()

    def flops_per_key(self) -> int:
        """Return those of the score."""
        return self.score.flops_per_key()

    def flops_per_score(self) -> int:
        """Return those of the score, a division, a tanh and a multiplication."""
        return self.score.flops_per_score() + 3

    def _capped(self, scores_BHTS: Tensor) -> Tensor:
        return self.cap * (scores_BHTS / self.cap).tanh()
