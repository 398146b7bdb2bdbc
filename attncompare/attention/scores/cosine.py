"""The cosine of query and key, times a temperature (QK-norm; Henry et al. 2020)."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from attncompare.attention.scores.dot import Dot
from attncompare.config.values import PartConfig, PositiveFloat


class Cosine(Dot):
    """``g * cos(q, k)`` (Henry et al. 2020, equations 3 to 5). 2K operations a score, and as many a query and a key.

    ``g`` is one learned number for all heads, or fixed. It begins at ``temperature``; Henry et al. take ``log2(L^2 - L)`` for
    a training sentence of L tokens, which is 10 for L = 32.
    """

    class Config(PartConfig):
        """The number that cosines are multiplied with."""

        temperature: PositiveFloat = 10.0
        learned: bool = True

    def __init__(self, heads: int, head_dim: int, temperature: float, learned: bool) -> None:
        super().__init__(heads, head_dim)
        self.temperature = temperature
        if learned:
            self.g = nn.Parameter(torch.tensor(temperature))
        else:
            self.scale = temperature

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Set ``g`` to the temperature."""
        assert name == "g"
        parameter.fill_(self.temperature)

    def operands(self, q_BHTK: Tensor, k_BHSK: Tensor) -> tuple[Tensor, Tensor]:
        """Return queries and keys of length 1, the queries times ``g`` where it is learned."""
        q_BHTK, k_BHSK = F.normalize(q_BHTK, dim=-1), F.normalize(k_BHSK, dim=-1)
        return (q_BHTK * self.g.to(q_BHTK.dtype) if hasattr(self, "g") else q_BHTK), k_BHSK
