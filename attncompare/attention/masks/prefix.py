"""A prefix that is read whole before the rest is predicted (Liu et al. 2018; Raffel et al. 2020, section 3.2.1)."""

from torch import Tensor

from attncompare.attention.masks.base import Mask
from attncompare.config.values import PartConfig, Positive


class Prefix(Mask):
    """The first ``length`` tokens see each other, all others what stands before them (Raffel et al. 2020, figure 3).

    The tokens of the prefix carry no loss, as they are seen. Without causality nothing changes.
    """

    class Config(PartConfig):
        """How many tokens are the prefix."""

        length: Positive

    sees_future = True

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = self.opened = length

    def visible(self, query_T1: Tensor, key_1S: Tensor, causal: bool) -> Tensor:
        """Return (T, S): in the prefix, or not behind the query."""
        seen = (key_1S < self.length) | (key_1S <= query_T1)
        return seen if causal else seen | True
