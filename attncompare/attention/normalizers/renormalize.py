"""The form of masking that textbooks show first: hide after the softmax, then divide by what is left."""

from torch import Tensor

from attncompare.attention.normalizers.base import Normalizer


class Renormalize(Normalizer):
    """Softmax over all keys, zeros for hidden ones, divided by the sum of the rest (Raschka 2024, section 3.5).

    In exact arithmetic it equals -inf before the softmax, as the sum over all keys cancels. In floating point it holds only
    while visible keys have a share that is no rounding error: where hidden scores lie far above, weights are 0.
    Multiplying a score by -inf instead of adding it makes 0 NaN and negative scores +inf.
    """

    hidden_cancel = True

    def forward(self, scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
        """Return the weights (B, H, T, S)."""
        weights_BHTS = scores_BHTS.softmax(-1)
        if may_attend is None:
            return weights_BHTS
        visible_BHTS = weights_BHTS.masked_fill(~may_attend, 0.0)
        left_BHT1 = visible_BHTS.sum(-1, keepdim=True)
        return visible_BHTS / left_BHT1.where(left_BHT1 > 0, 1.0)
