"""Rows that are too long or not: which are left out or cut, and how the others make batches."""

from collections.abc import Sequence

import numpy as np

from attncompare.data.order import Plan, bucketed, budgeted, generator, in_order, padding, within_budget


class KeptRows:
    """The bookkeeping of a split whose rows stand for themselves.

    Args:
        sides: tokens of each row, as the model sees it: the target's, and the source's where there is one.
        max_length: the most that the model may see on either side.
        cut: True (val, test): longer rows are truncated. False (train): they are left out. Both are counted.

    Attributes:
        kept: the row numbers that batches are made of, ascending.
        left_out: how many rows are not.
        truncated: how many rows are cut.
    """

    def __init__(self, sides: Sequence[np.ndarray], max_length: int, cut: bool) -> None:
        too_long = np.maximum.reduce(sides) > max_length
        count = int(too_long.sum())
        self.left_out, self.truncated = (0, count) if cut else (count, 0)
        self.kept = np.flatnonzero(~too_long | cut).astype(np.int32)
        self._sides = [np.minimum(side[self.kept], max_length) for side in sides]

    def __len__(self) -> int:
        return len(self.kept)

    def train_plan(self, data_seed: int, epoch: int, batch_size: int | None, batch_tokens: int | None = None) -> Plan:
        """Return an epoch of training: every kept row once, in batches of like length.

        Args:
            data_seed: with ``epoch``, what the order is a function of.
            epoch: from 0.
            batch_size: rows in a batch; None: ``batch_tokens`` decides.
            batch_tokens: tokens in a batch, padding included: rows * longest side.
        """
        rng = generator(data_seed, epoch)
        if batch_size is None:
            assert batch_tokens is not None
            return budgeted(self.kept, self._sides, batch_tokens, rng)
        return bucketed(self.kept, np.maximum.reduce(self._sides), batch_size, rng)

    def fixed_plan(self, batch_size: int | None, batch_tokens: int | None = None) -> Plan:
        """Return every kept row once, in order; arguments as for :meth:`train_plan`."""
        if batch_size is None:
            assert batch_tokens is not None
            return within_budget(self.kept, np.maximum.reduce(self._sides), batch_tokens)
        return in_order(self.kept, batch_size)

    def padding(self, plan: Plan) -> float:
        """Return which share of the places in all batches of a plan is padding."""
        by_row = [np.zeros(int(self.kept[-1]) + 1, dtype=np.int32) for _ in self._sides]
        for lengths, side in zip(by_row, self._sides, strict=True):
            lengths[self.kept] = side
        return padding(plan, by_row)
