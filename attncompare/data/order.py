"""Which rows make which batch, and in what order: a pure function of ``data_seed`` and epoch."""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from attncompare.data.batches import part

_BLOCK = 50  # batches that are sorted by length together


class Plan:
    """The batches of an epoch, each a list of keys: two arrays, however many rows there are.

    Args:
        keys: the keys of all batches, one batch after the other.
        cuts: where each batch begins in ``keys``, and at last where the keys end.
        order: which batch comes when; None: as they stand.
    """

    def __init__(self, keys: np.ndarray, cuts: np.ndarray, order: np.ndarray | None = None) -> None:
        self.keys, self.cuts, self._order = keys, cuts, order

    def __len__(self) -> int:
        return len(self.cuts) - 1

    def __getitem__(self, number: int) -> list[int]:
        place = range(len(self))[number]
        start = place if self._order is None else self._order[place]
        return self.keys[self.cuts[start] : self.cuts[start + 1]].tolist()

    def __iter__(self) -> Iterator[list[int]]:
        return (self[number] for number in range(len(self)))


def in_order(keys: Sequence[int] | np.ndarray, batch_size: int) -> Plan:
    """Cut ``keys`` into batches as they stand."""
    return Plan(np.asarray(keys), np.append(np.arange(0, len(keys), batch_size), len(keys)))


def shuffled(keys: Sequence[int] | np.ndarray, batch_size: int, rng: np.random.Generator) -> Plan:
    """Shuffle ``keys`` and cut them into batches."""
    return in_order(np.asarray(keys)[rng.permutation(len(keys))], batch_size)


def bucketed(keys: np.ndarray, lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> Plan:
    """Shuffle ``keys``, sort within blocks by ``lengths``, cut into batches and shuffle those.

    Rows of a batch are of like length, so that little is padding, and still meet others in each epoch.
    """
    order = rng.permutation(len(keys))
    block = _BLOCK * batch_size
    for start in range(0, len(order), block):
        part = order[start : start + block]
        order[start : start + block] = part[np.argsort(lengths[part], kind="stable")]
    plan = in_order(keys[order], batch_size)
    return Plan(plan.keys, plan.cuts, rng.permutation(len(plan)))


def budgeted(keys: np.ndarray, sides: Sequence[np.ndarray], budget: int, rng: np.random.Generator) -> Plan:
    """Sort ``keys`` by length, cut them into batches of at most ``budget`` tokens, padding included, and shuffle those.

    First counts the longest side, which the budget is spent on, then each side in turn. The cuts follow from the lengths
    alone, so every epoch has as many batches; which of the rows of equal lengths share one is up to chance.

    Args:
        keys: of the rows.
        sides: the lengths of the rows on each side.
        budget: rows * longest side; no row may be longer.
        rng: the source of chance.
    """
    longest = np.maximum.reduce(sides)
    order = rng.permutation(len(keys))
    order = order[np.lexsort([side[order] for side in (*reversed(sides), longest)])]
    plan = within_budget(keys[order], longest[order], budget)
    return Plan(plan.keys, plan.cuts, rng.permutation(len(plan)))


def within_budget(keys: np.ndarray, lengths: np.ndarray, budget: int) -> Plan:
    """Cut ``keys`` as they stand into batches, each as many rows as fit: rows * longest of them is within ``budget``."""
    cuts = [0]
    while cuts[-1] < len(keys):
        start = cuts[-1]
        longest = np.maximum.accumulate(lengths[start : start + budget // int(lengths[start])])
        fitting = longest * np.arange(1, len(longest) + 1) <= budget
        cuts.append(start + (len(longest) if fitting.all() else int(fitting.argmin())))
    return Plan(keys, np.array(cuts))


def padding(plan: Plan, sides: Sequence[np.ndarray]) -> float:
    """Return which share of the places in all batches of ``plan`` is padding.

    Args:
        plan: the batches.
        sides: the lengths by key on each side; each side is padded to its own longest row.
    """
    rows, keys = np.diff(plan.cuts), plan.keys
    tokens = sum(int(side[keys].sum()) for side in sides)
    places = sum(int(rows @ np.maximum.reduceat(side[keys], plan.cuts[:-1])) for side in sides)
    return 1 - tokens / places


def generator(data_seed: int, epoch: int) -> np.random.Generator:
    """Return the source of randomness for one epoch."""
    return np.random.default_rng([data_seed, epoch])


class BatchLoader:
    """The batches of an epoch, epoch after epoch, in an order that is a function of the epoch; knows where it is.

    Lightning saves and restores :meth:`state_dict`, so that a resumed training goes on with the very next batch. The
    global random state is never touched.

    Args:
        rows: ``rows[keys]`` is the batch of some rows.
        plan: the batches of an epoch. Their number must be the same in every epoch.
        limit: at most so many batches of each epoch; None: all.
        parts: in how many parts each batch comes, one after the other (``trainer.accumulate``).
        rank, world: among ``world`` processes, this one gets every world-th of all parts of a batch.
    """

    def __init__(
        self,
        rows: Any,
        plan: Callable[[int], Plan],
        *,
        limit: int | None = None,
        parts: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._rows, self._plan = rows, functools.lru_cache(maxsize=1)(plan)
        self._parts, self._rank, self._world = parts, rank, world
        self._batches = min(len(self._plan(0)), limit or sys.maxsize)
        self._epoch = self._given = 0

    def __len__(self) -> int:
        return self._batches * self._parts

    def __iter__(self) -> Iterator[Any]:
        if self._given >= len(self):  # Lightning asks for no batch beyond the last
            self._epoch, self._given = self._epoch + 1, 0
        batch: Any = None
        while self._given < len(self):
            number, place = divmod(self._given, self._parts)
            if batch is None or place == 0:
                batch = self._rows[self._plan(self._epoch)[number]]
            self._given += 1
            yield part(batch, place * self._world + self._rank, self._parts * self._world)

    def state_dict(self) -> dict[str, int]:
        """Return the epoch, and how many parts of its batches were given."""
        return {"epoch": self._epoch, "given": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go back to :meth:`state_dict`."""
        self._epoch, self._given = state["epoch"], state["given"]
