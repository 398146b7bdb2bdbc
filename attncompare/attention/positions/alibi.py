"""Attention with linear biases (Press, Smith and Lewis 2022)."""

import math

import torch
from torch import Tensor

from attncompare.attention.places import Places
from attncompare.attention.positions.base import Positions, apart


class Alibi(Positions):
    """``-m |t - s|`` is added to the score, ``m`` being a fixed slope for each head (Press et al. 2022, section 3).

    Slopes are ``2 ** (-8h / H)`` for head h of H, a power of two; between two powers, as in their code, the remaining heads
    take every other slope of twice as many. In an encoder both sides fall alike.
    """

    slope_H: Tensor

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__(heads, head_dim)
        self.register_buffer("slope_H", torch.tensor(slopes(heads)), persistent=False)

    def bias(self, q_BHTK: Tensor, places: Places, causal: bool) -> Tensor:  # noqa: ARG002
        """Return (H, T, S)."""
        return (-self.slope_H[:, None, None] * apart(places).abs()).to(q_BHTK.dtype)

    def flops_per_score(self) -> int:
        """Return a multiplication and an addition."""
        return 2


def slopes(heads: int) -> list[float]:
    """Return the slope of each head."""
    below = 2 ** math.floor(math.log2(heads))
    first = [2 ** (-8 * (h + 1) / below) for h in range(below)]
    return first + [2 ** (-8 * (h + 1) / (2 * below)) for h in range(0, 2 * (heads - below), 2)]
