"""The cosine of query and key as a score (Henry et al. 2020, "Query-Key Normalization for Transformers")."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from attncompare.attention import ScoreFunction
from attncompare.config import PartConfig
from attncompare.config.values import PositiveFloat


class Angular(ScoreFunction):
    """``scale * cos(q, k)`` with a scale for each head, learned or fixed. H parameters."""

    rotation_invariant = True

    class Config(PartConfig):
        """The scale at the beginning, and whether it is learned."""

        scale: PositiveFloat = 10.0
        learned: bool = True

    def __init__(self, heads: int, head_dim: int, scale: float, learned: bool) -> None:
        super().__init__(heads, head_dim)
        self.scale = scale
        self.scale_H = nn.Parameter(torch.full((heads,), scale), requires_grad=learned)

    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Fill the scales with the one that the config names."""
        parameter.fill_(self.scale)

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S)."""
        cosine_BHTS = F.normalize(q_BHTK, dim=-1) @ F.normalize(k_BHSK, dim=-1).transpose(-2, -1)
        return self.scale_H[:, None, None] * cosine_BHTS

    def flops_per_score(self) -> int:
        """Return K multiplications, K additions and the scaling."""
        return 2 * self.head_dim + 1
