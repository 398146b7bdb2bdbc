"""Projected keys and values of what was read before: they are computed once and serve every score function alike."""

from torch import Tensor

_LEAST_ROOM = 16  # positions


class KeyValueCache:
    """The projected keys and values of one attention module for one batch.

    There is room for more positions than are filled, twice as much whenever it runs out, so that reading n tokens one by
    one copies each of them a bounded number of times.
    """

    def __init__(self) -> None:
        self.length = 0
        self._k_BHSK: Tensor | None = None  # S: the room
        self._v_BHSK: Tensor | None = None

    def extend(self, k_BHTK: Tensor, v_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Add T new positions and return the keys and values (B, H, S, K) of all."""
        start, self.length = self.length, self.length + k_BHTK.shape[2]
        self._k_BHSK = _with_room(self._k_BHSK, k_BHTK, start, self.length)
        self._v_BHSK = _with_room(self._v_BHSK, v_BHTK, start, self.length)
        self._k_BHSK[:, :, start : self.length] = k_BHTK
        self._v_BHSK[:, :, start : self.length] = v_BHTK
        return self._k_BHSK[:, :, : self.length], self._v_BHSK[:, :, : self.length]

    def fixed(self, k_BHSK: Tensor, v_BHSK: Tensor) -> tuple[Tensor, Tensor]:
        """Hold the keys and values of a memory, to which nothing will be added, and return them."""
        self.length, self._k_BHSK, self._v_BHSK = k_BHSK.shape[2], k_BHSK, v_BHSK
        return k_BHSK, v_BHSK

    def read(self) -> tuple[Tensor, Tensor] | None:
        """Return the keys and values (B, H, S, K) of all positions, None before the first."""
        if self._k_BHSK is None or self._v_BHSK is None:
            return None
        return self._k_BHSK[:, :, : self.length], self._v_BHSK[:, :, : self.length]

    def keep(self, rows_N: Tensor) -> None:
        """Replace the rows of the batch by ``rows_N`` of them, in this order; a row may be named more than once."""
        if self._k_BHSK is not None and self._v_BHSK is not None:
            self._k_BHSK, self._v_BHSK = self._k_BHSK.index_select(0, rows_N), self._v_BHSK.index_select(0, rows_N)


def _with_room(held_BHSK: Tensor | None, like_BHTK: Tensor, start: int, end: int) -> Tensor:
    """Return ``held_BHSK``, or a larger copy of it, with room for ``end`` positions; those up to ``start`` are filled."""
    if held_BHSK is not None and end <= held_BHSK.shape[2]:
        return held_BHSK
    batch, heads, _, width = like_BHTK.shape
    room = max(_LEAST_ROOM, end if held_BHSK is None else max(end, 2 * held_BHSK.shape[2]))
    larger_BHSK = like_BHTK.new_empty(batch, heads, room, width)
    if held_BHSK is not None:
        larger_BHSK[:, :, :start] = held_BHSK[:, :, :start]
    return larger_BHSK
