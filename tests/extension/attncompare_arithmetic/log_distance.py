"""A bias that falls with the logarithm of the distance (Chi et al. 2022, "KERPLE", table 1, logarithmic)."""

import torch
from torch import Generator, Tensor, nn

from attncompare.attention import Places, Positions


class LogDistance(Positions):
    """``-r_h log(1 + |t - s|)`` with a learned ``r`` for each head, kept positive. H parameters."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__(heads, head_dim)
        self.r_H = nn.Parameter(torch.zeros(heads))

    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Begin where every head falls alike."""
        parameter.zero_()

    def bias(self, q_BHTK: Tensor, places: Places, causal: bool) -> Tensor:
        """Return (H, T, S)."""
        apart_TS = (places.of_queries()[:, None] - places.of_keys()[None, :]).abs().to(q_BHTK.dtype)
        return -nn.functional.softplus(self.r_H).to(q_BHTK.dtype)[:, None, None] * apart_TS.log1p()

    def flops_per_score(self) -> int:
        """Return a multiplication and an addition."""
        return 2
