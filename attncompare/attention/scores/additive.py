"""The additive score (Bahdanau et al. 2014, appendix A.1.2)."""

import torch
from torch import Generator, Tensor, nn

from attncompare.attention.kernels.additive_scores import additive_scores
from attncompare.attention.kernels.build import left_alone, serves, triton_serves
from attncompare.attention.kernels.fused import additive_context
from attncompare.attention.scores.base import ScoreFunction


class Additive(ScoreFunction):
    """``v . tanh(q + k)`` (Bahdanau et al. 2014, appendix A.1.2). H * K parameters; 4K operations a score.

    The paper's ``v . tanh(W q + U k)``: in the module, W and U are the query and key projections, one pair for each head.
    """

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__(heads, head_dim)
        self.v_HK = nn.Parameter(torch.empty(heads, head_dim))
        # For use on its own; a model draws all its initial values itself, from its seed.
        self.initial_("v_HK", self.v_HK, torch.Generator().manual_seed(0))

    @torch.no_grad()
    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Draw ``v`` from a normal distribution of variance 1/K, so that scores are of order 1 for any K."""
        assert name == "v_HK"
        nn.init.normal_(parameter, std=self.head_dim**-0.5, generator=generator)

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S); the B*H*T*S*K numbers in between exist a tile at a time."""
        return additive_scores(q_BHTK, k_BHSK, self.v_HK)

    def flops_per_score(self) -> int:
        """Return K additions, K tanh, K multiplications and K additions."""
        return 4 * self.head_dim

    @left_alone
    def context(
        self,
        q_BHTK: Tensor,
        k_BHSK: Tensor,
        v_BHSV: Tensor,
        may_attend: Tensor | None,
        causal: bool,
        dropout: float,
        bias: Tensor | None = None,
    ) -> Tensor | None:
        """Return the context (B, H, T, V) by a kernel where there is one, in memory linear in T and S."""
        # For a single query, as in decoding, preparing the keys would take longer than the explicit path.
        if bias is not None or q_BHTK.shape[2] == 1:
            return None
        arguments = (q_BHTK, k_BHSK, self.v_HK, v_BHSV, may_attend, causal, dropout)
        if serves(q_BHTK):
            return additive_context(*arguments)
        if triton_serves(q_BHTK):
            from attncompare.attention.kernels import triton_additive  # as only a GPU needs Triton

            return triton_additive.additive_context(*arguments)
        return None
