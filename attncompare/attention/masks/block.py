"""The fixed pattern of sparse transformers: blocks, and what each leaves for later ones (Child et al. 2019, section 4.2)."""

from torch import Tensor

from attncompare.attention.masks.base import Mask
from attncompare.config.values import NotNegative, PartConfig, Positive


class Block(Mask):
    """The keys of the query's own block of ``size``, and the last ``summary`` ones of each block (Child et al. 2019, "fixed")."""

    class Config(PartConfig):
        """The length of a block, and how many of its keys all later queries see."""

        size: Positive
        summary: NotNegative = 1

    def __init__(self, size: int, summary: int) -> None:
        super().__init__()
        self.size, self.summary = size, summary

    def visible(self, query_T1: Tensor, key_1S: Tensor, causal: bool) -> Tensor:  # noqa: ARG002
        """Return (T, S): in the same block, or at the end of any."""
        return (query_T1 // self.size == key_1S // self.size) | (key_1S % self.size >= self.size - self.summary)
