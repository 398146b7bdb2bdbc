"""The score of a small network over query and key together (Luong et al. 2015, section 3.1, "concat")."""

import torch
from torch import Generator, Tensor, nn

from attncompare.attention.scores.additive import Additive


class Concat(Additive):
    """``v . tanh(W [q; k])`` (Luong et al. 2015, section 3.1, "concat"), v and W for each head. 4K operations a score.

    As ``W [q; k] = W1 q + W2 k``, it is the additive score of ``W1 q`` and ``W2 k``, and computed by the same kernels. Bahdanau's
    score has no W beside the projections of queries and keys. H * K * (2K + 1) parameters.
    """

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__(heads, head_dim)
        self.w_2HKK = nn.Parameter(torch.empty(2, heads, head_dim, head_dim))
        self.initial_("w_2HKK", self.w_2HKK, torch.Generator().manual_seed(0))

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Draw ``v`` as the additive score does, and W from a normal distribution of variance 1/K."""
        nn.init.normal_(parameter, std=self.head_dim**-0.5, generator=generator)

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S)."""
        return super().forward(*self._mapped(q_BHTK, k_BHSK))

    def context(self, q_BHTK: Tensor, k_BHSK: Tensor, *others: object, **options: object) -> Tensor | None:
        """Return the context (B, H, T, V) as the additive score does."""
        return super().context(*self._mapped(q_BHTK, k_BHSK), *others, **options)

    def flops_per_query(self) -> int:
        """Return K * K multiplications and additions."""
        return 2 * self.head_dim**2

    def flops_per_key(self) -> int:
        """Return K * K multiplications and additions."""
        return 2 * self.head_dim**2

    def _mapped(self, q_BHTK: Tensor, k_BHSK: Tensor) -> tuple[Tensor, Tensor]:
        of_q_HKK, of_k_HKK = self.w_2HKK.to(q_BHTK.dtype)
        return q_BHTK @ of_q_HKK, k_BHSK @ of_k_HKK
