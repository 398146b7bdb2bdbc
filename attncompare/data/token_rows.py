"""Rows of numbers of different lengths in one flat array: no object of Python for each row, also for ten million."""

from collections.abc import Iterator

import numpy as np

_AT_ONCE = 2**20  # numbers that a count looks at


class TokenRows:
    """A column of encoded rows; ``rows[n]`` is row n, int64, cut and framed.

    Args:
        flat: the numbers of all rows, one row after the other.
        ends: where each row ends in ``flat``.
        longest: a longer row is cut to so many numbers.
        before, after: what stands around each row, whatever was cut.
    """

    def __init__(
        self,
        flat: np.ndarray,
        ends: np.ndarray,
        longest: int,
        before: tuple[int, ...] = (),
        after: tuple[int, ...] = (),
    ) -> None:
        self._flat, self._ends, self._longest = flat, ends, longest
        self._before, self._after = np.array(before, dtype=np.int64), np.array(after, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: int) -> np.ndarray:
        row = range(len(self))[row]
        start = int(self._ends[row - 1]) if row else 0
        numbers = self._flat[start : min(int(self._ends[row]), start + self._longest)]
        return np.concatenate((self._before, numbers, self._after)).astype(np.int64)

    @property
    def lengths(self) -> np.ndarray:
        """The numbers of each row, without its frame and before it is cut, int32."""
        return np.diff(self._ends, prepend=0).astype(np.int32)

    def seen(self, kept: np.ndarray) -> Iterator[np.ndarray]:
        """Yield, part by part, the places in the flat array that rows show after cutting, without frames.

        Args:
            kept: numbers of the rows to look at, ascending.
        """
        lengths = np.minimum(self.lengths, self._longest)
        step = max(1, _AT_ONCE // max(1, int(lengths.max(initial=1))))
        for first in range(0, len(kept), step):
            rows = kept[first : first + step]
            sizes = lengths[rows]
            starts = np.where(rows > 0, self._ends[rows - 1], 0)
            inside = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            yield np.repeat(starts, sizes) + inside
