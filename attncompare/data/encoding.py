"""From the text of a split to ids, part by part, by all cores; and the split as ids, of which ``rows[keys]`` is a batch.

The tokenizer's library encodes the texts of a part side by side, in as many threads as this process may use cores.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from attncompare.data import batches
from attncompare.data.batches import PairBatch, Plan, TextBatch, generator, in_order, padded
from attncompare.data.cache import Arrays, cached_arrays, in_memory, in_slices, portions, release
from attncompare.data.corpus import Corpus
from attncompare.data.dataset import TokenizerConfig
from attncompare.data.tokenizer import BOS, EOS, UNK, Tokenizer, overlaps, token_bytes

Tell = Callable[[str], None]
Rows = Iterable[tuple[Any, ...]]
Encode = Callable[[Rows, Tokenizer], Iterable[Arrays]]

_LARGE = 2**25  # bytes of text, some millions of tokens: more is kept in the cache
_FORM = 2  # of what is kept there
_AT_ONCE = 2**20  # numbers that a count looks at


class EncodedCorpus:
    """Learns vocabularies of ``corpus`` and encodes its splits; of a large one once for all runs, in the cache.

    What is cached is found by the corpus's ``fingerprint``, the tokenizer and what is encoded. ``tell`` is told in words
    how far it is, where that takes long.
    """

    def __init__(self, corpus: Corpus, fingerprint: str, tell: Tell) -> None:
        self._corpus, self._fingerprint, self._tell = corpus, fingerprint, tell

    def tokenizer(self, columns: Sequence[str], config: TokenizerConfig, whose: str = "the train split") -> Tokenizer:
        """Return a tokenizer trained on some columns of the train split (:meth:`Tokenizer.train`)."""

        def texts() -> Iterator[str]:
            return (piece for column in columns for piece, _ in self._corpus.pieces("train", column))

        if self._corpus.text_bytes("train") < _LARGE:
            return Tokenizer.train(texts, config, whose)

        def learned() -> list[Arrays]:
            self._tell(f"learning the vocabulary of {whose}")
            text = Tokenizer.train(texts, config, whose).to_text()
            return [{"vocabulary": np.frombuffer(text.encode(), dtype=np.uint8)}]

        arrays = cached_arrays(self._key("vocabulary", config.model_dump(), *columns), learned)
        return Tokenizer.parse(arrays["vocabulary"].tobytes(), "the cached vocabulary")

    def arrays(self, split: str, columns: Sequence[str], tokenizer: Tokenizer, encode: Encode) -> Arrays:
        """Return what ``encode``, one of the functions below, makes of the rows of these columns."""

        def rows() -> Rows:
            stream = encode is encode_stream
            return self._corpus.pieces(split, columns[0]) if stream else self._corpus.rows(split, columns)

        if self._corpus.text_bytes(split) < _LARGE:
            return in_memory(encode(rows(), tokenizer))
        key = self._key(encode.__name__, tokenizer.to_text(), split, *columns)
        return cached_arrays(key, lambda: encode(self._told(rows(), split, columns), tokenizer))

    def _told(self, rows: Rows, split: str, columns: Sequence[str]) -> Rows:
        """Yield the rows, and tell of each tenth of their text."""
        table = self._corpus.splits[split].data.table
        size, done, told = max(1, table[columns[0]].nbytes), 0, 0
        for row in rows:
            if 10 * done // size >= told:
                self._tell(f"encoding {split}, {columns[0]}, {10 * told} %")
                told += 1
            done += len(row[0].encode())
            yield row

    def _key(self, *settings: object) -> list[object]:
        return [_FORM, self._fingerprint, version("tokenizers"), *settings]


def encode_lines(rows: Rows, tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield ``ids`` and ``ends`` of rows of one text, part by part, without special tokens."""
    end = 0
    yield _part(tokenizer, [])
    for texts in portions(text for (text,) in rows):
        found = _part(tokenizer, tokenizer.encode_ids(texts), before=end)
        end += len(found["ids"])
        yield found


def encode_rows(rows: Rows, tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield the same, and for each token ``bytes`` and whether it is ``scored``.

    A row is a text, alone or with the spans of characters that count.
    """
    end = 0
    yield {**_part(tokenizer, [], []), "scored": np.zeros(0, dtype=np.uint8)}
    for group in portions(rows, size=lambda row: len(row[0])):
        encoded = tokenizer.encode_batch([text for text, *_ in group])
        sizes = [token_bytes(text, tokens.offsets) for (text, *_), tokens in zip(group, encoded, strict=True)]
        found = _part(tokenizer, [tokens.ids for tokens in encoded], sizes, end)
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
    yield {**_part(tokenizer, [[BOS]], [[0]]), "ends": np.zeros(0, dtype=np.int64)}
    end = 1
    for group in portions(rows, size=lambda piece: len(piece[0])):
        encoded = tokenizer.encode_batch([text for text, _ in group])
        ids, sizes, ends = [], [], []
        for (text, last), tokens in zip(group, encoded, strict=True):
            ids.append([*tokens.ids, EOS] if last else tokens.ids)
            sizes.append([*token_bytes(text, tokens.offsets), *([0] if last else [])])
            end += len(ids[-1])
            ends += [end] if last else []
        yield {**_part(tokenizer, ids, sizes), "ends": np.array(ends, dtype=np.int64)}


def _part(tokenizer: Tokenizer, ids: Sequence[Sequence[int]], sizes: Any = None, before: int = 0) -> Arrays:
    kind = np.uint16 if tokenizer.vocab_size <= 2**16 else np.int32
    ends = before + np.cumsum([len(row) for row in ids], dtype=np.int64)
    found = {"ids": np.fromiter(chain.from_iterable(ids), dtype=kind), "ends": ends}
    return found if sizes is None else {**found, "bytes": np.fromiter(chain.from_iterable(sizes), dtype=np.int32)}


class TokenRows:
    """A column of encoded rows; ``rows[n]`` is row n, int64, cut to the ``longest`` and framed.

    ``flat`` are the numbers of all rows, one row after the other, ``ends`` where each row ends in it; ``before`` and
    ``after`` stand around each row, whatever was cut.
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
        """Yield, part by part, the places in the flat array that the rows ``kept`` (ascending) show after cutting."""
        lengths = np.minimum(self.lengths, self._longest)
        step = max(1, _AT_ONCE // max(1, int(lengths.max(initial=1))))
        for first in range(0, len(kept), step):
            rows = kept[first : first + step]
            sizes = lengths[rows]
            starts = np.where(rows > 0, self._ends[rows - 1], 0)
            inside = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            yield np.repeat(starts, sizes) + inside
            release()


class RowsByLength:
    """The bookkeeping of a split whose rows stand for themselves; ``kept`` are those that batches are made of, ascending.

    ``sides`` are the tokens of each row, as the model sees it: the target's, and the source's where there is one. Rows
    that are longer than ``max_length`` on a side are ``truncated`` where that side may be ``cut``, else ``left_out``.
    """

    def __init__(self, sides: Sequence[np.ndarray], max_length: int, cut: Sequence[bool]) -> None:
        too_long = [side > max_length for side in sides]
        left_out = np.logical_or.reduce([long & (not may) for long, may in zip(too_long, cut, strict=True)])
        self.left_out = int(left_out.sum())
        self.truncated = int((np.logical_or.reduce(too_long) & ~left_out).sum())
        self.kept = np.flatnonzero(~left_out).astype(np.int32)
        self._sides = [np.minimum(side[self.kept], max_length) for side in sides]

    def __len__(self) -> int:
        return len(self.kept)

    def train_plan(self, order_seed: int, epoch: int, batch_size: int | None, batch_tokens: int | None = None) -> Plan:
        """Return an epoch of training: every kept row once, in batches of like length.

        A batch has ``batch_size`` rows, or else ``batch_tokens`` tokens, padding included: rows * longest side.
        """
        rng = generator(order_seed, epoch)
        if batch_tokens is not None:
            return batches.budgeted(self.kept, self._sides, batch_tokens, rng)
        assert batch_size is not None
        return batches.bucketed(self.kept, np.maximum.reduce(self._sides), batch_size, rng)

    def fixed_plan(self, batch_size: int | None, batch_tokens: int | None = None) -> Plan:
        """Return every kept row once, in order; arguments as for :meth:`train_plan`."""
        if batch_tokens is not None:
            return batches.within_budget(self.kept, np.maximum.reduce(self._sides), batch_tokens)
        assert batch_size is not None
        return in_order(self.kept, batch_size)

    def padding(self, plan: Plan) -> float:
        """Return which share of the places in all batches of a plan is padding."""
        by_row = [np.zeros(int(self.kept[-1]) + 1, dtype=np.int32) for _ in self._sides]
        for lengths, side in zip(by_row, self._sides, strict=True):
            lengths[self.kept] = side
        return batches.padding(plan, by_row)


class PairSet(RowsByLength, Dataset[PairBatch]):
    """Encoded pairs; ``pair_set[rows]`` is the batch of these rows.

    A pair is as long as its longer side: the source's tokens and EOS, or BOS and the target's tokens. A side that is
    cut keeps its EOS: both may be if ``cut`` (val, test), the source also if ``cut_sources``. ``source`` and
    ``target`` come from :func:`encode_lines`; as attributes they are by row number the source's ids and EOS, and BOS, the
    target's ids and EOS.
    """

    def __init__(self, source: Arrays, target: Arrays, max_length: int, cut: bool, cut_sources: bool = False) -> None:
        room = max_length - 1
        self._ids = {"source": source["ids"], "target": target["ids"]}
        self.source = TokenRows(source["ids"], source["ends"], room, after=(EOS,))
        self.target = TokenRows(target["ids"], target["ends"], room, before=(BOS,), after=(EOS,))
        super().__init__([self.target.lengths + 1, self.source.lengths + 1], max_length, [cut, cut or cut_sources])

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
            "bytes": sum(int(part.sum(dtype=np.int64)) for part in in_slices(self.bytes[1:], _AT_ONCE)),
            "unknown_rate": sum(int((part == UNK).sum()) for part in in_slices(self.ids[1:], _AT_ONCE)) / tokens,
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
