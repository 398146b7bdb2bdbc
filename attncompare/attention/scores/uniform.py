"""The same score for every key, a control: attention that is the mean of what it may see."""

from torch import Tensor

from attncompare.attention.scores.base import ScoreFunction


class Uniform(ScoreFunction):
    """0 for every query and key: what a variant adds to it is what its choice of keys is worth. No parameters of its own."""

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return zeros (B, H, T, S)."""
        return q_BHTK.new_zeros(*q_BHTK.shape[:3], k_BHSK.shape[2])

    def flops_per_score(self) -> int:
        """Return 0."""
        return 0
