"""From the text of a split to ids, part by part, by all cores; and what sets of encoded rows share.

The tokenizer's library encodes the texts of a part side by side, in as many threads as this process may use cores.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import chain
from typing import Any

import numpy as np

from attncompare.data import batches
from attncompare.data.batches import Plan, generator, in_order
from attncompare.data.cache import Arrays, cached_arrays, in_memory, portions, release
from attncompare.data.corpus import Corpus
from attncompare.data.dataset import TokenizerConfig
from attncompare.data.tokenizer import Tokenizer

Tell = Callable[[str], None]
Rows = Iterable[tuple[Any, ...]]
Encode = Callable[[Rows, Tokenizer], Iterable[Arrays]]

_LARGE = 2**25  # bytes of text, some millions of tokens: more is kept in the cache
_FORM = 2  # of what is kept there
AT_ONCE = 2**20  # numbers that a count looks at


class EncodedCorpus:
    """Learns vocabularies of ``corpus`` and encodes its splits; of a large one once for all runs, in the cache.

    What is cached is found by the corpus's ``fingerprint``, the tokenizer and what is encoded. ``tell`` is told in words
    how far it is, where that takes long.
    """

    def __init__(self, corpus: Corpus, fingerprint: str, tell: Tell) -> None:
        self.corpus, self.fingerprint, self.tell = corpus, fingerprint, tell

    def tokenizer(self, columns: Sequence[str], config: TokenizerConfig, whose: str = "the train split") -> Tokenizer:
        """Return a tokenizer trained on some columns of the train split (:meth:`Tokenizer.train`)."""

        def texts() -> Iterator[str]:
            return (piece for column in columns for piece, _ in self.corpus.pieces("train", column))

        if self.corpus.text_bytes("train") < _LARGE:
            return Tokenizer.train(texts, config, whose)

        def learned() -> list[Arrays]:
            self.tell(f"learning the vocabulary of {whose}")
            text = Tokenizer.train(texts, config, whose).to_text()
            return [{"vocabulary": np.frombuffer(text.encode(), dtype=np.uint8)}]

        arrays = cached_arrays(self._key("vocabulary", config.model_dump(), *columns), learned)
        return Tokenizer.parse(arrays["vocabulary"].tobytes(), "the cached vocabulary")

    def arrays(self, split: str, columns: Sequence[str], tokenizer: Tokenizer, encode: Encode) -> Arrays:
        """Return what ``encode`` makes of the rows of these columns; of one long text it gets pieces (:meth:`Corpus.pieces`)."""

        def rows() -> Rows:
            return self.corpus.pieces(split, columns[0]) if self.corpus.stream else self.corpus.rows(split, columns)

        if self.corpus.text_bytes(split) < _LARGE:
            return in_memory(encode(rows(), tokenizer))
        key = self._key(encode.__name__, tokenizer.to_text(), split, *columns)
        return cached_arrays(key, lambda: encode(self._told(rows(), split, columns), tokenizer))

    def _told(self, rows: Rows, split: str, columns: Sequence[str]) -> Rows:
        """Yield the rows, and tell of each tenth of their text."""
        table = self.corpus.splits[split].data.table
        size, done, told = max(1, table[columns[0]].nbytes), 0, 0
        for row in rows:
            if 10 * done // size >= told:
                self.tell(f"encoding {split}, {columns[0]}, {10 * told} %")
                told += 1
            done += len(row[0].encode())
            yield row

    def _key(self, *settings: object) -> list[object]:
        return [_FORM, self.fingerprint, version("tokenizers"), *settings]


def encode_lines(rows: Rows, tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield ``ids`` and ``ends`` of rows of one text, part by part, without special tokens."""
    end = 0
    yield encoded_part(tokenizer, [])
    for texts in portions(text for (text,) in rows):
        found = encoded_part(tokenizer, tokenizer.encode_ids(texts), before=end)
        end += len(found["ids"])
        yield found


def encoded_part(tokenizer: Tokenizer, ids: Sequence[Sequence[int]], sizes: Any = None, before: int = 0) -> Arrays:
    """Return ``ids`` and ``ends`` of rows ``before`` which there are so many ids, and ``bytes`` where ``sizes`` are given."""
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
        step = max(1, AT_ONCE // max(1, int(lengths.max(initial=1))))
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
