"""A sliding window (Child et al. 2019, section 4; Beltagy et al. 2020), with the first tokens kept visible if asked."""

from typing import ClassVar

from torch import Tensor

from attncompare.attention.masks.base import Mask
from attncompare.config.values import NotNegative, PartConfig, Positive


class Window(Mask):
    """The ``window`` nearest keys: the query's own and those before it, and in an encoder as many behind it.

    With ``sinks`` the first tokens stay visible, which take the weight that a query has no use for (Xiao et al. 2023,
    section 3.2). Token by token, a cache holds about twice ``window + sinks`` keys at most.

    Over a memory the query at position t sees the keys around t: local attention with monotonic alignment, local-m of Luong
    et al. 2015, section 3.2, with D = ``window - 1``. Further than that behind the end of the memory there is nothing to see.
    """

    crosses: ClassVar = True

    class Config(PartConfig):
        """How far a query sees, its own position included, and how many first tokens it always sees."""

        window: Positive
        sinks: NotNegative = 0

    def __init__(self, window: int, sinks: int) -> None:
        super().__init__()
        self.window, self.sinks = window, sinks

    def visible(self, query_T1: Tensor, key_1S: Tensor, causal: bool) -> Tensor:  # noqa: ARG002
        """Return (T, S): nearer than ``window``, or among the first ``sinks``."""
        return ((query_T1 - key_1S).abs() < self.window) | (key_1S < self.sinks)

    def needed_later(self, key_S: Tensor, position: int) -> Tensor:
        """Return which keys (S,) are in the window of ``position``, or among the first ``sinks``."""
        return (key_S > position - self.window) | (key_S < self.sinks)
