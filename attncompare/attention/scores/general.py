"""The bilinear score (Luong et al. 2015, section 3.1, "general")."""

import torch
from torch import Generator, Tensor, nn

from attncompare.attention.scores.dot import Dot


class General(Dot):
    """``q W k`` (Luong et al. 2015, section 3.1, "general"), W for each head. H * K * K parameters; 2K operations a score.

    The queries times W are counted apart, as they are computed once for all keys.
    """

    rotation_invariant = False

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__(heads, head_dim)
        self.w_HKK = nn.Parameter(torch.empty(heads, head_dim, head_dim))
        self.initial_("w_HKK", self.w_HKK, torch.Generator().manual_seed(0))

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Draw ``W`` from a normal distribution of variance 1/K, so that ``q W`` is as long as ``q``."""
        assert name == "w_HKK"
        nn.init.normal_(parameter, std=self.head_dim**-0.5, generator=generator)

    def operands(self, q_BHTK: Tensor, k_BHSK: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``q W`` and the keys."""
        return q_BHTK @ self.w_HKK.to(q_BHTK.dtype), k_BHSK

    def flops_per_query(self) -> int:
        """Return K * K multiplications and additions."""
        return 2 * self.head_dim**2
