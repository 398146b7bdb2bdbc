"""Projection onto the simplex, under which most weights are exactly zero (Martins and Astudillo 2016)."""

import entmax
from torch import Tensor

from attncompare.attention.normalizers.base import Normalizer, hidden_and_rows

_FAR = 4.0  # below the largest score: a key gets a weight only within 1 of it by sparsemax, within 2 by 1.5-entmax


class Sparsemax(Normalizer):
    """The weights on the simplex that are nearest to the scores (Martins and Astudillo 2016, equation 2)."""

    needs_float32 = True

    def forward(self, scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
        """Return the weights (B, H, T, S)."""
        return self._projected(*_hidden_far_below(scores_BHTS, may_attend))

    def _projected(self, scores_BHTS: Tensor, sees_any: Tensor | None) -> Tensor:
        weights_BHTS: Tensor = self.project(scores_BHTS)
        return weights_BHTS if sees_any is None else weights_BHTS.masked_fill(~sees_any, 0.0)

    def project(self, scores_BHTS: Tensor) -> Tensor:
        """Return the weights where nothing is hidden."""
        projected: Tensor = entmax.sparsemax(scores_BHTS, dim=-1)
        return projected


def _hidden_far_below(scores_BHTS: Tensor, may_attend: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return scores under which hidden keys get a weight of exactly 0: finite ones, as -inf makes sums NaN."""
    if may_attend is None:
        return scores_BHTS, None
    hidden, sees_any = hidden_and_rows(may_attend)
    lowest = scores_BHTS.detach().masked_fill(hidden, -float("inf")).amax(-1, keepdim=True) - _FAR
    return scores_BHTS.where(~hidden, lowest), sees_any
