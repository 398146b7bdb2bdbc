"""The cross-entropy of an evaluation, kept for each item: a pair of sentences, a document of a text, or a row."""

import math
from typing import Any

import torch
from torch import Tensor


class ItemLosses:
    """Sums over the tokens of each item, in float64; items count from 0, as in their split.

    Which items are hard, and how far an average would move with other ones, can be told from these alone: whoever
    resamples sentences or documents later needs no model.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, item_N: Tensor, nats_N: Tensor, **counts_N: Tensor) -> None:
        """Add N tokens.

        Args:
            item_N: the item of each, int64.
            nats_N: its cross-entropy in nats.
            counts_N: more that is to be summed, by name, such as bytes.
        """
        item_N = item_N.cpu()  # sums by index have no fixed order on a GPU
        for name, values_N in {"nats": nats_N, "tokens": torch.ones_like(item_N), **counts_N}.items():
            sums = torch.bincount(item_N, weights=values_N.cpu().double())
            before = self._sums.get(name, sums.new_zeros(0))
            total = sums.new_zeros(max(len(before), len(sums)))
            total[: len(before)] += before
            total[: len(sums)] += sums
            self._sums[name] = total

    def total(self, name: str) -> float:
        """Return the sum of ``nats``, ``tokens`` or another count over all items; 0 before the first token."""
        return self._sums[name].sum().item() if name in self._sums else 0.0

    @property
    def mean(self) -> float:
        """Return the nats a token over all items."""
        return self.total("nats") / self.total("tokens")

    def bits_per(self, name: str) -> float:
        """Return the bits for each unit of the count ``name``."""
        return self.total("nats") / (self.total(name) * math.log(2))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each item that has any token: ``id``, ``nats``, and the counts as whole numbers."""
        items = self._sums["tokens"].nonzero().flatten().tolist()
        columns = {name: sums[items].tolist() for name, sums in self._sums.items()}
        return [
            {"id": item, **{name: values[n] if name == "nats" else int(values[n]) for name, values in columns.items()}}
            for n, item in enumerate(items)
        ]
