"""One split of a corpus as ids: pairs, rows that stand for themselves, or one long text cut into windows.

``rows[keys]`` is a batch; a plan (:mod:`attncompare.data.order`) says which keys make which batch.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from attncompare.data.batches import PairBatch, TextBatch, padded, text_batch
from attncompare.data.cache import Arrays
from attncompare.data.order import Plan, bucketed, budgeted, generator, in_order, padding, shuffled, within_budget
from attncompare.data.tokenizer import BOS, EOS, UNK

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


class RowsByLength:
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


class PairSet(RowsByLength, Dataset[PairBatch]):
    """Encoded pairs; ``pair_set[rows]`` is the batch of these rows.

    A pair is as long as its longer side: the source's tokens and EOS, or BOS and the target's tokens. A side that is
        cut keeps its EOS.

    Args:
        source: ``ids`` and ``ends`` of the source sentences (:func:`attncompare.data.encoding.encode_lines`).
        target: likewise.
        max_length: see :class:`RowsByLength`, as ``cut``.

    Attributes:
        source: by row number: the source's ids and EOS.
        target: likewise: BOS, the target's ids and EOS.
    """

    def __init__(self, source: Arrays, target: Arrays, max_length: int, cut: bool) -> None:
        room = max_length - 1
        self._ids = {"source": source["ids"], "target": target["ids"]}
        self.source = TokenRows(source["ids"], source["ends"], room, after=(EOS,))
        self.target = TokenRows(target["ids"], target["ends"], room, before=(BOS,), after=(EOS,))
        super().__init__([self.target.lengths + 1, self.source.lengths + 1], max_length, cut)

    def __getitem__(self, rows: list[int]) -> PairBatch:
        source_BS = padded([self.source[row] for row in rows])
        return PairBatch(source_BS, padded([self.target[row] for row in rows]), torch.tensor(rows))

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record; tokens include EOS, and are those of kept rows after cutting."""
        tokens, unknown = {}, {}
        for side, rows in {"source": self.source, "target": self.target}.items():
            parts = [(len(at), int((self._ids[side][at] == UNK).sum())) for at in rows.seen(self.kept)]
            tokens[side] = sum(size for size, _ in parts) + len(self.kept)
            unknown[side] = sum(count for _, count in parts)
        both = sum(tokens.values())
        return {
            "source_tokens": tokens["source"],
            "target_tokens": tokens["target"],
            "tokens": both,
            "unknown_rate": sum(unknown.values()) / both,
            "source_unknown_rate": unknown["source"] / tokens["source"],
            "target_unknown_rate": unknown["target"] / tokens["target"],
        }


class RowSet(RowsByLength, Dataset[TextBatch]):
    """Rows, each BOS and its tokens; ``row_set[rows]`` is the batch of these rows.

    Args:
        rows: ``ids``, ``ends``, ``bytes`` and ``scored`` of the rows (:func:`attncompare.data.encoding.encode_rows`).
        max_length: see :class:`RowsByLength`, as ``cut``; BOS does not count, because the last token is never an input.

    Attributes:
        ids: by row number: BOS and the row's ids.
        scored: likewise: 1 for each token that counts, else 0.
        bytes: likewise: how many bytes each token shows.
    """

    def __init__(self, rows: Arrays, max_length: int, cut: bool) -> None:
        self._arrays, ends = rows, rows["ends"]
        self.ids = TokenRows(rows["ids"], ends, max_length, before=(BOS,))
        self.scored, self.bytes = (TokenRows(rows[facts], ends, max_length) for facts in ("scored", "bytes"))
        super().__init__([self.ids.lengths], max_length, cut)

    def __getitem__(self, rows: list[int]) -> TextBatch:
        ids, scored, sizes = ([column[row] for row in rows] for column in (self.ids, self.scored, self.bytes))
        items = [np.full(len(size), row) for row, size in zip(rows, sizes, strict=True)]
        return text_batch(ids, scored, sizes, items)

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record, over kept rows after cutting."""
        tokens = scored = size = unknown = 0
        for at in self.ids.seen(self.kept):
            counts = self._arrays["scored"][at].astype(np.int64)
            tokens, scored = tokens + len(at), scored + int(counts.sum())
            size += int(self._arrays["bytes"][at] @ counts)
            unknown += int((self._arrays["ids"][at] == UNK).sum())
        return {"tokens": tokens, "scored_tokens": scored, "bytes": size, "unknown_rate": unknown / max(1, tokens)}


class StreamSet(Dataset[TextBatch]):
    """All documents in one line: BOS, document, EOS, document, EOS, ...

    ``stream[starts]`` is the batch of windows that begin there.

    Args:
        stream: ``ids``, ``bytes`` and ``ends`` of the line (:func:`attncompare.data.encoding.encode_stream`).
        max_length: tokens in a window.
        stride: tokens from one fixed window to the next; the targets that it shares with those before are not scored
            again. None: ``max_length``.

    Attributes:
        ids: the line.
        bytes: how many bytes each of its tokens shows; special tokens show none.
    """

    left_out = truncated = 0  # a stream has no row that could be too long

    def __init__(self, stream: Arrays, max_length: int, stride: int | None = None) -> None:
        self.ids, self.bytes, self._ends = stream["ids"], stream["bytes"], stream["ends"]
        self.max_length, self.stride = max_length, stride or max_length

    def __len__(self) -> int:
        return len(self.disjoint_starts)

    @property
    def disjoint_starts(self) -> range:
        """Starts of windows side by side; the last window may be shorter."""
        return range(0, len(self.ids) - 1, self.max_length)

    @property
    def fixed_starts(self) -> range:
        """Starts of windows that together score every token exactly once; the last window may be shorter."""
        overlap = self.max_length - self.stride
        # A window that begins where no more than the overlap is left would score nothing; the first has no window before.
        return range(0, max(min(1, len(self.ids) - 1), len(self.ids) - 1 - overlap), self.stride)

    def __getitem__(self, starts: list[int]) -> TextBatch:
        windows = [self.ids[start : start + self.max_length + 1] for start in starts]
        places = [np.arange(start + 1, start + len(window)) for start, window in zip(starts, windows, strict=True)]
        items = [np.searchsorted(self._ends, at, side="right") for at in places]
        sizes = [self.bytes[at] for at in places]
        scored = [self._scored(start, len(at)) for start, at in zip(starts, places, strict=True)]
        return text_batch(windows, scored, sizes, items)

    def _scored(self, start: int, targets: int) -> np.ndarray:
        """Return 1 for each target of a window that no window before it has."""
        seen = self.max_length - self.stride if start else 0
        return (np.arange(targets) >= seen).astype(np.int64)

    def train_plan(self, data_seed: int, epoch: int, batch_size: int | None, batch_tokens: int | None = None) -> Plan:
        """Return an epoch of training: full windows from an offset of the epoch's own, so that it cuts elsewhere.

        Args:
            data_seed: with ``epoch``, what the order is a function of.
            epoch: from 0.
            batch_size: windows in a batch; None: ``batch_tokens`` decides.
            batch_tokens: tokens in a batch: windows * ``max_length``.
        """
        rng = generator(data_seed, epoch)
        offset = int(rng.integers(self.max_length))
        # As many as fit at any offset, so that every epoch has the same number of batches.
        windows = (len(self.ids) - self.max_length) // self.max_length
        starts = offset + np.arange(max(0, windows)) * self.max_length
        return shuffled(starts, self._windows(batch_size, batch_tokens), rng)

    def fixed_plan(self, batch_size: int | None, batch_tokens: int | None = None) -> Plan:
        """Return the fixed windows in order; arguments as for :meth:`train_plan`."""
        return in_order(self.fixed_starts, self._windows(batch_size, batch_tokens))

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record; tokens are those to be predicted, EOS among them."""
        parts = [slice(start, start + _AT_ONCE) for start in range(1, len(self.ids), _AT_ONCE)]
        tokens = len(self.ids) - 1
        return {
            "tokens": tokens,
            "bytes": sum(int(self.bytes[part].sum(dtype=np.int64)) for part in parts),
            "unknown_rate": sum(int((self.ids[part] == UNK).sum()) for part in parts) / tokens,
        }

    def _windows(self, batch_size: int | None, batch_tokens: int | None) -> int:
        if batch_size is not None:
            return batch_size
        assert batch_tokens is not None
        return batch_tokens // self.max_length
