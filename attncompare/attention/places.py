"""Where queries and keys stand in their sequences."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(slots=True)
class Places:
    """The positions of T queries and S keys, from 0; they are made into tensors only where a part asks for them.

    Attributes:
        first: the position of the first query; the others follow it.
        queries: number T of queries.
        keys: number S of keys.
        device: where tensors of positions are made.
        held: the positions of the keys (S,), where a cache has forgotten some; None: 0 to S - 1.
        beside: of so many queries each stand at the same positions, as the beams of one sentence do in cross-attention.
        part: which of the queries are meant; None: all.
    """

    first: int
    queries: int
    keys: int
    device: torch.device
    held: Tensor | None = None
    beside: int = 1
    part: slice | None = None

    @property
    def last_query(self) -> int:
        """The position of the last query."""
        return self.first + self.queries // self.beside - 1

    @property
    def last_key(self) -> int:
        """The position of the last key; a cache that forgets some keeps the newest, which is the last query's."""
        return self.keys - 1 if self.held is None else self.last_query

    def some(self, part: slice) -> "Places":
        """Return the places of some of the queries and of all keys."""
        return replace(self, part=part)

    def of_queries(self) -> Tensor:
        """Return the positions of the queries (T,)."""
        each = torch.arange(self.first, self.first + self.queries // self.beside, device=self.device)
        return each.repeat(self.beside)[self.part or slice(None)]

    def of_keys(self) -> Tensor:
        """Return the positions of the keys (S,)."""
        return torch.arange(self.keys, device=self.device) if self.held is None else self.held
