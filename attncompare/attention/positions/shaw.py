"""Relative positions as learned vectors beside the keys (Shaw, Uszkoreit and Vaswani 2018)."""

import torch
from torch import Generator, Tensor, nn

from attncompare.attention.places import Places
from attncompare.attention.positions.base import Positions, apart
from attncompare.config.values import PartConfig, Positive


class Shaw(Positions):
    """``q . a_(s - t) / sqrt(K)`` is added to the score, distances beyond ``farthest`` sharing one (Shaw et al. 2018, eq. 4).

    All heads share the vectors, as in the paper (section 3.3). Its second set of vectors, beside the values, is left out:
    their table 3 finds no difference. (2 * farthest + 1) * K parameters.
    """

    class Config(PartConfig):
        """The farthest distance that is told apart; the paper takes 16."""

        farthest: Positive = 16

    def __init__(self, heads: int, head_dim: int, farthest: int) -> None:
        super().__init__(heads, head_dim)
        self.farthest = farthest
        self.a_NK = nn.Parameter(torch.zeros(2 * farthest + 1, head_dim))
        self.initial_("a_NK", self.a_NK, torch.Generator().manual_seed(0))

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Draw the vectors from a normal distribution of variance 1/K."""
        assert name == "a_NK"
        nn.init.normal_(parameter, std=self.head_dim**-0.5, generator=generator)

    def bias(self, q_BHTK: Tensor, places: Places, causal: bool) -> Tensor:  # noqa: ARG002
        """Return (B, H, T, S)."""
        of_vectors_BHTN = q_BHTK @ self.a_NK.T.to(q_BHTK.dtype) * self.head_dim**-0.5
        number_TS = (-apart(places)).clamp(-self.farthest, self.farthest) + self.farthest
        return of_vectors_BHTN.gather(-1, number_TS.expand(*q_BHTK.shape[:2], -1, -1))

    def flops_per_score(self) -> int:
        """Return an addition."""
        return 1

    def flops_per_query(self) -> int:
        """Return the products with all vectors."""
        return 2 * self.a_NK.numel()
