"""A sigmoid for each key by itself (Ramapuram et al. 2024)."""

from torch import Tensor

from attncompare.attention.normalizers.base import Normalizer, visible_counts


class Sigmoid(Normalizer):
    """``1 / (1 + exp(-(score - log S)))`` (Ramapuram et al. 2024, section 3). Weights sum to anything.

    They take S, the length of the training sequences, for all queries; here it is the number of keys that the query may
    attend to, so that neither padding nor the future decides a weight.
    """

    sums_to_one = False

    def forward(self, scores_BHTS: Tensor, may_attend: Tensor | None) -> Tensor:
        """Return the weights (B, H, T, S)."""
        weights_BHTS = (scores_BHTS - visible_counts(scores_BHTS, may_attend).log()).sigmoid()
        return weights_BHTS if may_attend is None else weights_BHTS.masked_fill(~may_attend, 0.0)
