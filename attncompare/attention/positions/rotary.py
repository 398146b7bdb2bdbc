"""Rotary positions (Su et al. 2021)."""

import torch
from torch import Tensor

from attncompare.attention.positions.base import Positions
from attncompare.config.values import PartConfig, PositiveFloat
from attncompare.errors import Refused


class Rotary(Positions):
    """Each pair of numbers of query and key is turned by an angle that grows with the position (Su et al. 2021, equation 34).

    The score then depends on what both say and on their distance alone. Frequencies are ``base ** (-2i / K)``. Numbers i and
    i + K/2 make a pair, as in GPT-NeoX and Llama, where the paper has neighbours; the order of a head's numbers is arbitrary.
    """

    class Config(PartConfig):
        """How slowly the slowest pair turns."""

        base: PositiveFloat = 10_000.0

    rotates = True
    frequency_F: Tensor

    def __init__(self, heads: int, head_dim: int, base: float) -> None:
        super().__init__(heads, head_dim)
        if head_dim % 2:
            raise Refused(
                f"attention.positions=rotary: a head has width {head_dim}, must be even: numbers are turned in pairs"
            )
        half_F = torch.arange(0, head_dim, 2, dtype=torch.float64)
        # No parameter and no part of a checkpoint: it follows from the sizes. In float64, as positions may be large.
        self.register_buffer("frequency_F", base ** (-half_F / head_dim), persistent=False)

    def turned(self, x_BHTK: Tensor, position_T: Tensor) -> Tensor:
        """Return ``x`` turned by the angles of its positions."""
        angle_TF = position_T[:, None].double() * self.frequency_F.double()
        cos_TF, sin_TF = angle_TF.cos().to(x_BHTK.dtype), angle_TF.sin().to(x_BHTK.dtype)
        first_BHTF, second_BHTF = x_BHTK.chunk(2, dim=-1)
        turned = (first_BHTF * cos_TF - second_BHTF * sin_TF, second_BHTF * cos_TF + first_BHTF * sin_TF)
        return torch.cat(turned, dim=-1)
