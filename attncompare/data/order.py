"""Which rows make which batch, and in what order: a pure function of ``data_seed`` and epoch (C5)."""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

Plan = list[list[int]]
_BLOCK = 50  # batches that are sorted by length together


def in_order(keys: Sequence[int], batch_size: int) -> Plan:
    """Cut ``keys`` into batches as they stand."""
    return [list(keys[i : i + batch_size]) for i in range(0, len(keys), batch_size)]


def shuffled(keys: Sequence[int], batch_size: int, rng: np.random.Generator) -> Plan:
    """Shuffle ``keys`` and cut them into batches."""
    return in_order([keys[i] for i in rng.permutation(len(keys))], batch_size)


def bucketed(keys: Sequence[int], lengths: Sequence[int], batch_size: int, rng: np.random.Generator) -> Plan:
    """Shuffle ``keys``, sort within blocks by ``lengths``, cut into batches and shuffle those.

    Rows of a batch are of like length, so that little is padding, and still meet others in each epoch.
    """
    order = rng.permutation(len(keys))
    block = _BLOCK * batch_size
    plan: Plan = []
    for start in range(0, len(order), block):
        part = sorted(order[start : start + block], key=lambda i: lengths[i])
        plan += in_order([keys[i] for i in part], batch_size)
    return [plan[i] for i in rng.permutation(len(plan))]


def generator(data_seed: int, epoch: int) -> np.random.Generator:
    """Return the source of randomness for one epoch."""
    return np.random.default_rng([data_seed, epoch])


class Order(Sampler[list[int]]):
    """The batches of some training steps, each as a list of keys, through as many epochs as that takes.

    Step n gets batch ``n % len(epoch)`` of epoch ``n // len(epoch)``: where a run stands is its step and nothing else,
    so it can be taken up at any step (C10). Where an optimizer step takes several batches, each of them is a step here.

    Args:
        plan: the batches of an epoch. Their number must be the same in every epoch.
        first, last: the steps, from ``first`` (from 0) up to but without ``last``; by default those of epoch 0.
        limit: at most so many batches of each epoch; None: all.
        rank, world: among ``world`` processes, this one gets every world-th row of each batch.

    Attributes:
        repeated: the steps given so far whose batch had no row for this process, so that it got another's: it counts
            for nothing there.
    """

    def __init__(
        self,
        plan: Callable[[int], Plan],
        first: int = 0,
        last: int | None = None,
        *,
        limit: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._plan = functools.lru_cache(maxsize=1)(plan)
        self.batches_per_epoch = min(len(plan(0)), limit or sys.maxsize)
        self._first, self._last = first, self.batches_per_epoch if last is None else last
        self._rank, self._world = rank, world
        self.repeated: set[int] = set()

    def __len__(self) -> int:
        return max(0, self._last - self._first)

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self._first, self._last):
            epoch, number = divmod(step, self.batches_per_epoch)
            keys = self._plan(epoch)[number]
            mine = keys[self._rank :: self._world]
            if not mine:  # a process without a row would leave the others waiting: it repeats the batch's first
                self.repeated.add(step)
            yield mine or keys[:1]


class Loader(DataLoader[Any]):
    """Loads the batches that an :class:`Order` gives, in this process, without touching the global random state."""

    def __init__(self, rows: Dataset[Any], order: Order) -> None:
        # The order gives whole batches, which the data set makes: the loader's own batching is off. Its base seed,
        # unused here, would be drawn from the global generator if it had none of its own.
        super().__init__(rows, sampler=order, batch_size=None, collate_fn=_as_it_is, generator=torch.Generator())
        self.order = order


def _as_it_is(batch: Any) -> Any:
    return batch
