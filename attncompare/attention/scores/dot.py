"""The dot-product score (Luong et al. 2015, section 3.1), and how all scores that are one of something are computed."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attncompare.attention.kernels.build import serves
from attncompare.attention.kernels.fused import dot_context
from attncompare.attention.masks import causal_mask, combine
from attncompare.attention.scores.base import ScoreFunction, repeated

# Keys up to which the compiled loops serve. Beyond, the few heads that there may be would leave cores idle: torch's kernels share
# their queries too.
SHORT = 256


class Dot(ScoreFunction):
    """``q . k`` (Luong et al. 2015, section 3.1, "dot"). No parameters; 2K operations a score.

    Its variance grows with K, so that for wide heads the softmax saturates (Vaswani et al. 2017, section 3.2.1).

    A score that is a dot product of something else, such as normalized queries and keys, says of what by :meth:`operands`
    and is computed by the same kernels.
    """

    scale = 1.0
    shares_keys = True
    rotation_invariant = True

    def operands(self, q_BHTK: Tensor, k_BHSK: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is multiplied, (B, H, T, any width) and (B, H, S, the same)."""
        return q_BHTK, k_BHSK

    def forward(self, q_BHTK: Tensor, k_BHSK: Tensor) -> Tensor:
        """Return the scores (B, H, T, S)."""
        q_BHTK, k_BHSK = self.operands(q_BHTK, k_BHSK)
        return (q_BHTK * self.scale) @ k_BHSK.transpose(-2, -1)

    def flops_per_score(self) -> int:
        """Return K multiplications and K additions."""
        return 2 * self.head_dim

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
        """Return the context (B, H, T, V) by compiled loops where they serve, else mostly by torch's kernels."""
        q_BHTK, k_BHSK = self.operands(q_BHTK, k_BHSK)
        on_cpu, queries, keys = q_BHTK.device.type == "cpu", q_BHTK.shape[2], k_BHSK.shape[2]
        groups = k_BHSK.shape[1] < q_BHTK.shape[1]  # torch's kernels for GPUs read shared keys as they stand
        if groups and on_cpu:
            k_BHSK, v_BHSV = repeated(k_BHSK, q_BHTK.shape[1]), repeated(v_BHSV, q_BHTK.shape[1])
        # For a single query, as in decoding, copying the keys would take longer than torch's kernels do.
        if bias is None and serves(q_BHTK) and queries > 1 and (keys <= SHORT or dropout > 0):
            return dot_context(q_BHTK, k_BHSK, v_BHSV, may_attend, causal, dropout, self.scale)
        if on_cpu and dropout > 0:  # torch's kernels drop other weights
            return None
        causal = causal and queries > 1  # a single query stands at the last key and sees them all
        # torch's own causal mask stands alone and is square
        if causal and (may_attend is not None or bias is not None or queries != keys):
            may_attend = combine(may_attend, causal_mask(queries, keys, q_BHTK.device))
            causal = False

        def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            mask = may_attend
            if bias is not None:
                mask = bias.to(q.dtype).expand(*q.shape[:3], keys)
                mask = mask if may_attend is None else mask.masked_fill(~may_attend, -torch.inf)
            return F.scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=mask,
                is_causal=causal,
                dropout_p=dropout,
                scale=self.scale,
                enable_gqa=groups and not on_cpu,
            )

        if not on_cpu or q_BHTK.dtype == torch.float64:
            return fused(q_BHTK, k_BHSK, v_BHSV)
        with torch.autocast("cpu", enabled=False):  # in half precision the backward pass is several times slower there
            return fused(q_BHTK.float(), k_BHSK.float(), v_BHSV.float()).to(q_BHTK.dtype)
