"""A dilated mask (Beltagy et al. 2020, "Longformer", section 3.1)."""

from torch import Tensor

from attncompare.attention import Mask
from attncompare.config import PartConfig
from attncompare.config.values import Positive


class Dilated(Mask):
    """Every ``step``-th key, counted from the query's own."""

    class Config(PartConfig):
        """From one visible key to the next."""

        step: Positive = 2

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def visible(self, query_T1: Tensor, key_1S: Tensor, causal: bool) -> Tensor:
        """Return (T, S)."""
        return (query_T1 - key_1S) % self.step == 0
