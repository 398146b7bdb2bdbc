"""Weights that are scores, cut off at zero and divided by their number (Wortsman et al. 2023, "Replacing softmax with ReLU")."""

from torch import Tensor

from attncompare.attention import Normalizer


class Relu(Normalizer):
    """``max(score, 0) / S`` for S keys that the query may attend to (Wortsman et al. 2023, section 3)."""

    sums_to_one = False

    def forward(self, scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
        """Return the weights (B, H, T, S)."""
        positive_BHTS = scores_BHTS.relu()
        if may_attend is None:
            return positive_BHTS / scores_BHTS.shape[-1]
        visible = may_attend.expand(*may_attend.shape[:-1], scores_BHTS.shape[-1])
        return positive_BHTS.masked_fill(~visible, 0.0) / visible.sum(-1, keepdim=True).clamp(min=1)
