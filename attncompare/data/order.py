"""Which rows make which batch, and in what order: a pure function of ``data_seed`` and epoch (C5)."""

import functools
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
    """Gives the batches of one epoch, each as a list of keys; Lightning calls :meth:`set_epoch` before each epoch.

    Args:
        plan: the batches of an epoch. Their number must be the same in every epoch.
        rank, world: among ``world`` processes, this one gets every world-th row of each batch.
    """

    def __init__(self, plan: Callable[[int], Plan], rank: int = 0, world: int = 1) -> None:
        self._plan = functools.lru_cache(maxsize=1)(plan)
        self._rank, self._world = rank, world
        self.epoch = 0
        self.given = 0  # batches of this epoch so far
        self._resume: tuple[int, int] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    def resume(self, epoch: int, given: int) -> None:
        """Let the next iteration leave out the first ``given`` batches, if it is one of ``epoch``."""
        self._resume = (epoch, given)

    def __len__(self) -> int:
        return len(self._plan(self.epoch))

    def __iter__(self) -> Iterator[list[int]]:
        # A generator, so that the epoch is read with the first batch: Lightning makes the iterator before it sets the
        # epoch.
        epoch, given = self._resume or (self.epoch, 0)
        self._resume = None
        self.given = given if epoch == self.epoch else 0
        for keys in self._plan(self.epoch)[self.given :]:
            self.given += 1
            # A process without a row would leave the others waiting: it repeats the batch's first.
            yield keys[self._rank :: self._world] or keys[:1]


class Loader(DataLoader[Any]):
    """Loads the batches that an :class:`Order` gives, in this process, without touching the global random state.

    Lightning keeps :meth:`state_dict` in its checkpoints, so that a run resumed within an epoch goes on with the next
    batch (C10).
    """

    def __init__(self, rows: Dataset[Any], order: Order) -> None:
        # The order gives whole batches, which the data set makes: the loader's own batching is off. Its base seed,
        # unused here, would be drawn from the global generator if it had none of its own.
        super().__init__(rows, sampler=order, batch_size=None, collate_fn=_as_it_is, generator=torch.Generator())
        self.order = order

    def state_dict(self) -> dict[str, int]:
        """Return where in which epoch the loader stands."""
        return {"epoch": self.order.epoch, "given": self.order.given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from :meth:`state_dict`."""
        self.order.resume(state["epoch"], state["given"])


def _as_it_is(batch: Any) -> Any:
    return batch
