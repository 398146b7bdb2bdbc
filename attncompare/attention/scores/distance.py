"""The negative squared distance of query and key (Kim, Papamakarios and Mnih 2021, section 4.1)."""

import torch
from torch import Tensor

from attncompare.attention.scores.dot import Dot


class Distance(Dot):
    """``-|q - k|^2 / sqrt(K)`` (Kim et al. 2021, "L2 attention", section 4.1). No parameters; 2K + 4 operations a score.

    They tie the projections of queries and keys, so that it is Lipschitz; here they are apart, as in every variant.
    """

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__(heads, head_dim)
        self.scale = head_dim**-0.5

    def operands(self, q_BHTK: Tensor, k_BHSK: Tensor) -> tuple[Tensor, Tensor]:
        """Return vectors whose dot product is ``2 q . k - |q|^2 - |k|^2``."""
        ones_BHT1, ones_BHS1 = torch.ones_like(q_BHTK[..., :1]), torch.ones_like(k_BHSK[..., :1])
        squares_BHT1, squares_BHS1 = q_BHTK.square().sum(-1, keepdim=True), k_BHSK.square().sum(-1, keepdim=True)
        return torch.cat((2 * q_BHTK, -squares_BHT1, -ones_BHT1), -1), torch.cat((k_BHSK, ones_BHS1, squares_BHS1), -1)

    def flops_per_score(self) -> int:
        """Return K + 2 multiplications and as many additions."""
        return 2 * self.head_dim + 4
