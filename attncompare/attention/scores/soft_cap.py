"""A bound on any score (Gemma Team 2024, Gemma 2, section 2)."""

from torch import Tensor

from attncompare.attention.parts import Section
from attncompare.attention.places import Places
from attncompare.attention.scores.base import ScoreFunction, make_score
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

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S)."""
        return self._capped(self.score(q_BHTK, k_BHSK))

    def at(self, q_BHTK: Tensor, k_BHSK: Tensor, places: Places) -> Tensor:
        """Return the scores of queries and keys that stand at ``places``."""
        return self._capped(self.score.at(q_BHTK, k_BHSK, places))

    def flops_per_score(self) -> int:
        """Return those of the score, a division, a tanh and a multiplication."""
        return self.score.flops_per_score() + 3

    def flops_per_query(self) -> int:
        """Return those of the score."""
        return self.score.flops_per_query()

    def flops_per_key(self) -> int:
        """Return those of the score."""
        return self.score.flops_per_key()

    def _capped(self, scores_BHTS: Tensor) -> Tensor:
        return self.cap * (scores_BHTS / self.cap).tanh()
