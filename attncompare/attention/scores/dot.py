"""The dot-product score (Luong et al. 2015, section 3.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attncompare.attention.kernels.build import serves
from attncompare.attention.kernels.fused import dot_context
from attncompare.attention.masks import causal_mask, combine
from attncompare.attention.scores.base import ScoreFunction

# Keys up to which the compiled loops serve. Beyond, the few heads that there may be would leave cores idle: torch's kernels share
# their queries too.
SHORT = 256


class Dot(ScoreFunction):
    """``q . k`` (Luong et al. 2015, section 3.1, "dot"). No parameters; 2K operations a score.

    Its variance grows with K, so that for wide heads the softmax saturates (Vaswani et al. 2017, section 3.2.1).
    """

    scale = 1.0

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S)."""
        return (q_BHTK * self.scale) @ k_BHSK.transpose(-2, -1)

    def flops_per_score(self) -> int:
        """Return K multiplications and K additions."""
        return 2 * self.head_dim

    def context(
        self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor, may_attend: Tensor | None, causal: bool, dropout: float
    ) -> Tensor:
        """Return the context (B, H, T, K) by compiled loops where they serve, else mostly by torch's kernels."""
        on_cpu, queries, keys = q_BHTK.device.type == "cpu", q_BHTK.shape[2], k_BHSK.shape[2]
        # For a single query, as in decoding, copying the keys would take longer than torch's kernels do.
        if serves(q_BHTK) and queries > 1 and (keys <= SHORT or dropout > 0):
            return dot_context(q_BHTK, k_BHSK, v_BHSK, may_attend, causal, dropout, self.scale)
        if on_cpu and dropout > 0:  # torch's kernels drop other weights
            return super().context(q_BHTK, k_BHSK, v_BHSK, may_attend, causal, dropout)
        causal = causal and queries > 1  # a single query stands at the last key and sees them all
        if causal and (may_attend is not None or queries != keys):  # torch's own causal mask stands alone and is square
            may_attend = combine(may_attend, causal_mask(queries, keys, q_BHTK.device))
            causal = False

        def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(
                q, k, v, attn_mask=may_attend, is_causal=causal, dropout_p=dropout, scale=self.scale
            )

        if not on_cpu or q_BHTK.dtype == torch.float64:
            return fused(q_BHTK, k_BHSK, v_BHSK)
        with torch.autocast("cpu", enabled=False):  # in half precision the backward pass is several times slower there
            return fused(q_BHTK.float(), k_BHSK.float(), v_BHSK.float()).to(q_BHTK.dtype)
