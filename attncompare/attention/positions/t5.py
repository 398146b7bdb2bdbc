"""Relative positions as learned biases in buckets of growing width (T5; Raffel et al. 2020, section 2.1)."""

import math

import torch
from torch import Generator, Tensor, nn

from attncompare.attention.places import Places
from attncompare.attention.positions.base import Positions, apart
from attncompare.config.values import AtLeastFour, PartConfig


class T5(Positions):
    """A learned number for each head and bucket of distances is added to the score (Raffel et al. 2020, section 2.1).

    Of the buckets on a side, one half holds a distance each; the widths of the others grow with the logarithm up to
    ``farthest``, beyond which all share the last. Where queries see both sides, each has half of the buckets. T5 shares the
    numbers between its layers; here each attention has its own. H * buckets parameters.
    """

    class Config(PartConfig):
        """How many buckets, and the distance from which all share one."""

        buckets: AtLeastFour = 32
        farthest: AtLeastFour = 128

    def __init__(self, heads: int, head_dim: int, buckets: int, farthest: int) -> None:
        super().__init__(heads, head_dim)
        self.buckets, self.farthest = buckets, farthest
        self.bias_HN = nn.Parameter(torch.zeros(heads, buckets))

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:  # noqa: ARG002
        """Set all biases to 0, so that positions count for nothing at first."""
        assert name == "bias_HN"
        parameter.zero_()

    def bias(self, q_BHTK: Tensor, places: Places, causal: bool) -> Tensor:
        """Return (H, T, S)."""
        return self.bias_HN[:, self.bucket(apart(places), causal)].to(q_BHTK.dtype)

    def bucket(self, apart_TS: Tensor, causal: bool) -> Tensor:
        """Return the number of the bucket of each distance, (T, S); ``causal``: no key behind a query is seen."""
        count = self.buckets if causal else self.buckets // 2
        distance = apart_TS.clamp(min=0) if causal else apart_TS.abs()
        exact = count // 2
        # The logarithm of what is far: 0 to 1 from `exact` to `farthest`.
        far = (distance.clamp(min=1) / exact).log() / math.log(max(self.farthest / exact, 1 + 1e-6))
        beyond = (exact + (far * (count - exact)).long()).clamp(max=count - 1)
        found = distance.where(distance < exact, beyond)
        return found if causal else found + count * (apart_TS < 0)

    def flops_per_score(self) -> int:
        """Return an addition."""
        return 1
