"""What was read before, projected to keys and values: computed once, and the same for every score function."""

from collections.abc import Callable

import torch
from torch import Tensor

_LEAST_ROOM = 16  # positions


class KeyValueCache:
    """What one attention module needs of the positions that it read, for one batch: usually their keys and values.

    There is room for more positions than are held, twice as much whenever it runs out, so that reading n tokens one by
    one copies each of them a bounded number of times. Where a mask hides positions from all later queries, they are
    forgotten once they are more than those that are needed, so that memory is bounded too.

    Attributes:
        seen: how many positions were read.
        positions: those of what is held (S,); None while nothing was forgotten, so that they are 0, 1, ...
    """

    def __init__(self) -> None:
        self.seen = 0
        self.positions: Tensor | None = None
        self._length = 0
        self._held: tuple[Tensor, ...] = ()  # each (B, heads, room, any width)

    def extend(
        self, *new: Tensor, needed_later: Callable[[Tensor, int], Tensor | None] | None = None
    ) -> tuple[Tensor, ...]:
        """Add T new positions of each tensor (B, heads, T, width), and return all that is held, (B, heads, S, width).

        ``needed_later(positions_S, position)`` says which positions queries from ``position`` on may still attend to, None: all.
        """
        T = new[0].shape[2]
        if needed_later is not None and self._held:
            self._forget(needed_later)
        start, self._length, end = self._length, self._length + T, self.seen + T
        if self.positions is not None:
            added_T = torch.arange(self.seen, end, device=self.positions.device)
            self.positions = torch.cat((self.positions, added_T))
        self.seen = end
        if not self._held or self._length > self._held[0].shape[2]:
            held = self._held or (None,) * len(new)
            self._held = tuple(_with_room(old, one, start, self._length) for old, one in zip(held, new, strict=True))
        for one, added in zip(self._held, new, strict=True):
            one[:, :, start : self._length] = added
        return self._read()

    def fixed(self, *of_memory: Tensor) -> tuple[Tensor, ...]:
        """Hold what a memory became, to which nothing will be added, and return it."""
        self.seen = self._length = of_memory[0].shape[2]
        self._held = of_memory
        return of_memory

    def read(self) -> tuple[Tensor, ...] | None:
        """Return what is held of all positions, (B, heads, S, width) each; None before the first."""
        return self._read() if self._held else None

    def keep(self, rows_N: Tensor) -> None:
        """Replace the rows of the batch by ``rows_N`` of them, in this order; a row may be named more than once."""
        self._held = tuple(one.index_select(0, rows_N) for one in self._held)

    @property
    def bytes_held(self) -> int:
        """The bytes that are taken, room included."""
        return sum(one.numel() * one.element_size() for one in self._held)

    def _read(self) -> tuple[Tensor, ...]:
        return tuple(one[:, :, : self._length] for one in self._held)

    def _forget(self, needed_later: Callable[[Tensor, int], Tensor | None]) -> None:
        device = self._held[0].device
        position_S = torch.arange(self._length, device=device) if self.positions is None else self.positions
        needed_S = needed_later(position_S, self.seen)
        if needed_S is None:
            return
        kept_N = needed_S.nonzero().squeeze(1)
        if 2 * len(kept_N) + _LEAST_ROOM <= self._length:  # seldom, so that few copies are made
            self._held = tuple(one.index_select(2, kept_N) for one in self._held)
            self.positions, self._length = position_S[kept_N], len(kept_N)


def _with_room(held_BHSK: Tensor | None, like_BHTK: Tensor, start: int, end: int) -> Tensor:
    """Return a copy of ``held_BHSK`` with room for ``end`` positions and more; those up to ``start`` are filled."""
    batch, heads, _, width = like_BHTK.shape
    room = max(_LEAST_ROOM, end if held_BHSK is None else max(end, 2 * held_BHSK.shape[2]))
    larger_BHSK = like_BHTK.new_empty(batch, heads, room, width)
    if held_BHSK is not None:
        larger_BHSK[:, :, :start] = held_BHSK[:, :, :start]
    return larger_BHSK
