"""Texts: rows that stand for themselves, or documents in one line that is read in windows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from attncompare.data.batches import Plan, TextBatch, generator, in_order, padded
from attncompare.data.cache import Arrays, in_slices, portions
from attncompare.data.encoding import AT_ONCE, Rows, RowsByLength, TokenRows, encoded_part
from attncompare.data.kinds.base import DataKind, Probe
from attncompare.data.tokenizer import BOS, EOS, UNK, Tokenizer, overlaps, token_bytes
from attncompare.errors import Refused

_WINDOW = 24  # tokens of a stream: what a map shows well


def encode_rows(rows: Rows, tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield ``ids`` and ``ends``, and for each token ``bytes`` and whether it is ``scored``.

    A row is a text, alone or with the spans of characters that count.
    """
    end = 0
    yield {**encoded_part(tokenizer, [], []), "scored": np.zeros(0, dtype=np.uint8)}
    for group in portions(rows, size=lambda row: len(row[0])):
        encoded = tokenizer.encode_batch([text for text, *_ in group])
        sizes = [token_bytes(text, tokens.offsets) for (text, *_), tokens in zip(group, encoded, strict=True)]
        found = encoded_part(tokenizer, [tokens.ids for tokens in encoded], sizes, end)
        end += len(found["ids"])
        scored = [
            not spans or any(overlaps(text, offset, start, stop) for start, stop in spans[0])
            for (text, *spans), tokens in zip(group, encoded, strict=True)
            for offset in tokens.offsets
        ]
        yield {**found, "scored": np.array(scored, dtype=np.uint8)}


def encode_stream(rows: Rows, tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield ``ids`` and ``bytes`` of BOS, document, EOS, document, EOS, ..., and where each document ends (its EOS is in).

    ``rows`` are pieces of documents, and whether a piece is the last of its document (:meth:`Corpus.pieces`).
    """
    yield {**encoded_part(tokenizer, [[BOS]], [[0]]), "ends": np.zeros(0, dtype=np.int64)}
    end = 1
    for group in portions(rows, size=lambda piece: len(piece[0])):
        encoded = tokenizer.encode_batch([text for text, _ in group])
        ids, sizes, ends = [], [], []
        for (text, last), tokens in zip(group, encoded, strict=True):
            ids.append([*tokens.ids, EOS] if last else tokens.ids)
            sizes.append([*token_bytes(text, tokens.offsets), *([0] if last else [])])
            end += len(ids[-1])
            ends += [end] if last else []
        yield {**encoded_part(tokenizer, ids, sizes), "ends": np.array(ends, dtype=np.int64)}


class RowSet(RowsByLength, Dataset[TextBatch]):
    """Rows of :func:`encode_rows`, each BOS and its tokens; ``row_set[rows]`` is the batch of these rows.

    BOS does not count for ``max_length``, because the last token is never an input. By row number, ``ids`` are BOS and
    the row's ids, ``scored`` is 1 for each token that counts, else 0, ``bytes`` how many bytes each token shows. The first
    ``unscored`` tokens of a row do not count.
    """

    def __init__(self, rows: Arrays, max_length: int, cut: bool, unscored: int = 0) -> None:
        self._arrays, ends = {**rows, "scored": _scored_from(rows["scored"], rows["ends"], unscored)}, rows["ends"]
        self.ids = TokenRows(rows["ids"], ends, max_length, before=(BOS,))
        self.scored, self.bytes = (TokenRows(self._arrays[facts], ends, max_length) for facts in ("scored", "bytes"))
        super().__init__([self.ids.lengths], max_length, [cut])

    def __getitem__(self, rows: list[int]) -> TextBatch:
        ids, scored, sizes = ([column[row] for row in rows] for column in (self.ids, self.scored, self.bytes))
        items = [np.full(len(size), row) for row, size in zip(rows, sizes, strict=True)]
        return _text_batch(ids, scored, sizes, items)

    def beginnings(self, count: int) -> list[list[int]]:
        """Return the ids of the first so many rows."""
        return [self.ids[row].tolist() for row in self.kept[:count].tolist()]

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
    """All documents in one line (:func:`encode_stream`); ``stream[starts]`` is the batch of windows that begin there.

    A window has ``max_length`` tokens, from one fixed window to the next there are ``stride`` (None: as many); the targets
    that it shares with those before are not scored again. The first ``unscored`` targets of each window do not count.
    """

    left_out = truncated = 0  # a stream has no row that could be too long

    def __init__(self, stream: Arrays, max_length: int, stride: int | None = None, unscored: int = 0) -> None:
        self.ids, self.bytes, self._ends = stream["ids"], stream["bytes"], stream["ends"]
        self.max_length, self.stride, self.unscored = max_length, stride or max_length, unscored

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
        seen = self.max_length - self.stride  # by the window before
        first = [max(self.unscored, seen if start else 0) for start in starts]
        scored = [np.arange(len(at)) >= one for one, at in zip(first, places, strict=True)]
        items = [np.searchsorted(self._ends, at, side="right") for at in places]
        return _text_batch(windows, scored, [self.bytes[at] for at in places], items)

    def beginnings(self, count: int) -> list[list[int]]:
        """Return the first ids of so many windows, spread over the text."""
        starts = self.disjoint_starts[:: max(1, len(self) // max(1, count))][:count]
        return [self.ids[start : start + min(_WINDOW, self.max_length) + 1].tolist() for start in starts]

    def train_plan(self, order_seed: int, epoch: int, batch_size: int | None, batch_tokens: int | None = None) -> Plan:
        """Return an epoch of training: full windows from an offset of the epoch's own, so that it cuts elsewhere.

        A batch has ``batch_size`` windows, or else ``batch_tokens`` tokens.
        """
        rng = generator(order_seed, epoch)
        offset = int(rng.integers(self.max_length))
        # As many as fit at any offset, so that every epoch has the same number of batches.
        windows = (len(self.ids) - self.max_length) // self.max_length
        starts = offset + np.arange(max(0, windows)) * self.max_length
        return in_order(starts[rng.permutation(len(starts))], self._size(batch_size, batch_tokens))

    def fixed_plan(self, batch_size: int | None, batch_tokens: int | None = None) -> Plan:
        """Return the fixed windows in order; arguments as for :meth:`train_plan`."""
        return in_order(self.fixed_starts, self._size(batch_size, batch_tokens))

    def _size(self, batch_size: int | None, batch_tokens: int | None) -> int:
        return batch_size or (batch_tokens or 0) // self.max_length

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record; tokens are those to be predicted, EOS among them."""
        tokens = len(self.ids) - 1
        return {
            "tokens": tokens,
            "bytes": sum(int(part.sum(dtype=np.int64)) for part in in_slices(self.bytes[1:], AT_ONCE)),
            "unknown_rate": sum(int((part == UNK).sum()) for part in in_slices(self.ids[1:], AT_ONCE)) / tokens,
        }


def _scored_from(scored: np.ndarray, ends: np.ndarray, first: int) -> np.ndarray:
    """Return what counts of rows that stand one after the other, and of each only from its ``first`` token on."""
    if not first:
        return scored
    starts = np.concatenate(([0], ends[:-1]))
    return scored * (np.arange(len(scored)) - np.repeat(starts, np.diff(ends, prepend=0)) >= first).astype(scored.dtype)


def _text_batch(ids: Any, scored: Any, sizes: Any, items: Any) -> TextBatch:
    """Make a batch of rows of ids, each one longer than its rows of facts about each target."""
    targets, inputs = padded([row[1:] for row in ids]), padded([row[:-1] for row in ids])
    return TextBatch(inputs, targets, padded(scored, 0).bool(), padded(sizes, 0), padded(items, 0))


class Text(DataKind[RowSet | StreamSet]):
    """``kind = "text"``: the column ``text``, and ``scored`` where only some of a row counts."""

    def split_set(self, split: str) -> RowSet | StreamSet:
        """Return an encoded split; ``task.eval_stride`` is of windows alone."""
        longest, cut, unscored = self.config.task.max_length, split != "train", self.config.unscored
        stride: int | None = getattr(self.config.task, "eval_stride", None)
        if self.corpus.stream:
            text = self.encoded.arrays(split, ["text"], self.tokenizer, encode_stream)
            return StreamSet(text, longest, stride if cut else None, unscored)
        if stride is not None:
            raise Refused(
                f"task.eval_stride={stride}: data={self.config.data.name} has rows that stand for themselves, and no "
                "windows; leave task.eval_stride=null"
            )
        columns = [name for name in ("text", "scored") if name in self.corpus.splits[split].column_names]
        return RowSet(self.encoded.arrays(split, columns, self.tokenizer, encode_rows), longest, cut, unscored)

    def probes(self, split: str, rows: RowSet | StreamSet, count: int) -> list[Probe]:  # noqa: ARG002
        """Return the first rows, or the beginnings of windows that are spread over the text."""
        found = rows.beginnings(count)
        if self.config.task_class.architecture == "encoder_only":
            longest = self.config.task.max_length  # a window holds one token more, to be predicted
            return [Probe([one for one in ids if one != BOS][:longest], [], None, None) for ids in found]
        return [Probe(None, ids, None, None) for ids in found]

    def own_probe(self, text: str) -> Probe:
        """Return a text of the user's."""
        if self.config.task_class.architecture == "encoder_only":
            return Probe(self.fitting(text, self.tokenizer, 0), [], None, None, text)
        return Probe(None, [BOS, *self.fitting(text, self.tokenizer, 1), EOS], None, None, text)
