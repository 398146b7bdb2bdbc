"""Rows that are too long or not: which are left out or cut, and how the others make batches."""

from collections.abc import Sequence

from attncompare.data.order import Plan, bucketed, generator, in_order


class KeptRows:
    """The bookkeeping of a split whose rows stand for themselves.

    Args:
        lengths: tokens of each row, as the model sees it.
        max_length: the most that the model may see.
        cut: True (val, test): longer rows are truncated. False (train): they are left out. Both are counted.

    Attributes:
        kept: the row numbers that batches are made of.
        left_out: how many rows are not.
        truncated: how many rows are cut.
    """

    def __init__(self, lengths: Sequence[int], max_length: int, cut: bool) -> None:
        too_long = {row for row, length in enumerate(lengths) if length > max_length}
        self.left_out, self.truncated = (0, len(too_long)) if cut else (len(too_long), 0)
        self.kept = [row for row in range(len(lengths)) if cut or row not in too_long]
        self._kept_lengths = [lengths[row] for row in self.kept]

    def __len__(self) -> int:
        return len(self.kept)

    def train_plan(self, data_seed: int, epoch: int, batch_size: int) -> Plan:
        """Return an epoch of training: every kept row once, in batches of like length."""
        return bucketed(self.kept, self._kept_lengths, batch_size, generator(data_seed, epoch))

    def fixed_plan(self, batch_size: int) -> Plan:
        """Return every kept row once, in order."""
        return in_order(self.kept, batch_size)
