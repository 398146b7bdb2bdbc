"""Which rows make which batch, what a batch holds, and the loader that gives an epoch's batches, whole or in parts."""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attncompare.data.tokenizer import PAD

_BLOCK = 50  # batches that are sorted by length together
_MOST_SEARCHED = 1000  # batches, in some tenths of a second


class PairBatch(NamedTuple):
    """Pairs of sentences, or one part of such a batch. Ids, int64, filled up with PAD."""

    source_BS: Tensor
    """Source tokens and EOS."""
    target_BT: Tensor
    """BOS, target tokens and EOS: the decoder reads ``[:, :-1]`` and predicts ``[:, 1:]``."""
    index_B: Tensor
    """Number of each row in its split."""
    share: float = 1.0
    """The part's share of the scored tokens of its optimizer step."""
    step_tokens: int = 0
    """The scored tokens of that step."""

    def scored(self) -> int:
        """Return the number of tokens that are to be predicted."""
        return int((self.target_BT[:, 1:] != PAD).sum())

    def trimmed(self) -> "PairBatch":
        """Return the batch without columns that are padding alone."""
        source_BS, target_BT = (ids[:, : int((ids != PAD).sum(1).max())] for ids in (self.source_BS, self.target_BT))
        return self._replace(source_BS=source_BS, target_BT=target_BT)


class TextBatch(NamedTuple):
    """Windows or rows of text, or one part of such a batch."""

    input_BT: Tensor
    """Ids, int64, filled up with PAD."""
    target_BT: Tensor
    """The id after each input id."""
    scored_BT: Tensor
    """Boolean: whether the target counts; False on padding."""
    bytes_BT: Tensor
    """UTF-8 bytes that each target shows, int64, for bits per byte. An EOS shows none."""
    item_BT: Tensor
    """Number of the document, or row, in its split that each target belongs to, int64."""
    share: float = 1.0
    """The part's share of the scored tokens of its optimizer step."""
    step_tokens: int = 0
    """The scored tokens of that step."""

    def scored(self) -> int:
        """Return the number of tokens that are to be predicted."""
        return int(self.scored_BT.sum())

    def trimmed(self) -> "TextBatch":
        """Return the batch itself: its rows are of like length."""
        return self


class LabelledBatch(NamedTuple):
    """Labelled texts or images, or one part of such a batch."""

    source_BS: Tensor
    """Ids of tokens, int64, filled up with PAD; of images vectors (B, S, features), float32."""
    label_B: Tensor
    """Number of each row's label, from 0."""
    index_B: Tensor
    """Number of each row in its split."""
    share: float = 1.0
    """The part's share of the rows of its optimizer step."""
    step_tokens: int = 0
    """The rows of that step."""

    def scored(self) -> int:
        """Return the number of rows, each of which has one label to be predicted."""
        return len(self.label_B)

    def trimmed(self) -> "LabelledBatch":
        """Return the batch without columns that are padding alone; images have none."""
        if self.source_BS.dim() == 3:
            return self
        return self._replace(source_BS=self.source_BS[:, : int((self.source_BS != PAD).sum(1).max())])


class SpeechBatch(NamedTuple):
    """Utterances and what is said in them, or one part of such a batch."""

    source_BS: Tensor
    """Vectors (B, S, features), float32, filled up with NaN."""
    target_BT: Tensor
    """BOS, target tokens and EOS, int64, filled up with PAD: the decoder reads ``[:, :-1]`` and predicts ``[:, 1:]``."""
    gold_BT2: Tensor
    """The vectors, half-open, in which each predicted token is heard, int64; (0, 0) where that is not known."""
    index_B: Tensor
    """Number of each row in its split."""
    share: float = 1.0
    """The part's share of the scored tokens of its optimizer step."""
    step_tokens: int = 0
    """The scored tokens of that step."""

    def scored(self) -> int:
        """Return the number of tokens that are to be predicted."""
        return int((self.target_BT[:, 1:] != PAD).sum())

    def trimmed(self) -> "SpeechBatch":
        """Return the batch without columns that are padding alone."""
        vectors = int((~self.source_BS.isnan().any(-1)).sum(1).max())
        tokens = int((self.target_BT != PAD).sum(1).max())
        return self._replace(
            source_BS=self.source_BS[:, :vectors],
            target_BT=self.target_BT[:, :tokens],
            gold_BT2=self.gold_BT2[:, : tokens - 1],
        )


def part(batch: Any, number: int, parts: int) -> Any:
    """Return every ``parts``-th row of ``batch`` from row ``number``, with its share of the scored tokens.

    The sums over all parts are those of the whole batch. Where no row is left, it is the first row again with a share
    of 0, so that no rank waits for another.
    """
    tokens = batch.scored()
    if parts == 1:
        return batch._replace(step_tokens=tokens)
    empty = number >= len(batch[0])
    rows = slice(0, 1) if empty else slice(number, None, parts)
    tensors = {name: value[rows] for name, value in batch._asdict().items() if isinstance(value, Tensor)}
    chosen = batch._replace(**tensors).trimmed()
    return chosen._replace(share=0.0 if empty else chosen.scored() / max(1, tokens), step_tokens=tokens)


def padded(rows: Sequence[np.ndarray], value: int = PAD) -> Tensor:
    """Put ``rows`` of ids into one int64 tensor (len(rows), longest), filled up with ``value`` on the right."""
    filled = np.full((len(rows), max(len(row) for row in rows)), value, dtype=np.int64)
    for line, row in zip(filled, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(filled)


class Plan:
    """The batches of an epoch, each a list of keys: arrays, however many rows there are.

    ``cuts`` are where each batch begins in ``keys``, and at last where the keys end; ``order``: which batch comes when.
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


def bucketed(keys: np.ndarray, lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> Plan:
    """Shuffle ``keys``, sort within blocks by ``lengths``, cut into batches and shuffle those.

    Rows of a batch are of like length, so that little is padding, and still meet others in each epoch.
    """
    order = rng.permutation(len(keys))
    block = _BLOCK * batch_size
    for start in range(0, len(order), block):
        mixed = order[start : start + block]
        order[start : start + block] = mixed[np.argsort(lengths[mixed], kind="stable")]
    plan = in_order(keys[order], batch_size)
    return Plan(plan.keys, plan.cuts, rng.permutation(len(plan)))


def budgeted(keys: np.ndarray, sides: Sequence[np.ndarray], budget: int, rng: np.random.Generator) -> Plan:
    """Sort ``keys`` by length, cut them into batches of at most ``budget`` tokens, padding included, and shuffle those.

    ``sides`` are the lengths of the rows on each side. First counts the longest side, which the budget is spent on, then
    each side in turn. The cuts follow from the lengths alone, so every epoch has as many batches; which of the rows of
    equal lengths share one is up to chance.
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
    """Return which share of the places in all batches is padding; ``sides``: the lengths by key on each side."""
    rows, keys = np.diff(plan.cuts), plan.keys
    tokens = sum(int(side[keys].sum()) for side in sides)
    places = sum(int(rows @ np.maximum.reduceat(side[keys], plan.cuts[:-1])) for side in sides)
    return 1 - tokens / places


def generator(order_seed: int, epoch: int) -> np.random.Generator:
    """Return the source of randomness for one epoch."""
    return np.random.default_rng([order_seed, epoch])


def unchanged(batch: Any, epoch: int) -> Any:  # noqa: ARG001
    """Return the batch itself."""
    return batch


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
        prepared: ``prepared(batch, epoch)`` is the batch as it is given, whatever parts it is cut into.
    """

    def __init__(
        self,
        rows: Any,
        plan: Callable[[int], Plan],
        limit: int | None = None,
        parts: int = 1,
        rank: int = 0,
        world: int = 1,
        prepared: Callable[[Any, int], Any] = unchanged,
    ) -> None:
        self._prepared = prepared
        self._rows, self._plan = rows, lru_cache(maxsize=1)(plan)
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
                batch = self._prepared(self._rows[self._plan(self._epoch)[number]], self._epoch)
            self._given += 1
            yield part(batch, place * self._world + self._rank, self._parts * self._world)

    def largest(self) -> Any:
        """Return the batch, or part of one, with the most tokens among the first thousand of the first epoch, for this rank."""
        plan = self._plan(0)
        batches = (self._prepared(self._rows[plan[number]], 0) for number in range(min(self._batches, _MOST_SEARCHED)))
        parts = (part(batch, self._rank, self._parts * self._world) for batch in batches)
        return max(parts, key=lambda one: sum(value.numel() for value in one if isinstance(value, Tensor)))

    def state_dict(self) -> dict[str, int]:
        """Return the epoch, and how many parts of its batches were given."""
        return {"epoch": self._epoch, "given": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go back to :meth:`state_dict`."""
        self._epoch, self._given = state["epoch"], state["given"]
