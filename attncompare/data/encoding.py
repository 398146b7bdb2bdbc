"""From the text of a corpus to its vocabulary and to flat arrays of ids: once, part by part, by all cores.

The tokenizer's library encodes the texts of a part side by side, in as many threads as this process may use cores.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import chain
from typing import Any

import numpy as np

from attncompare.data.cache import Arrays, cached_arrays, in_memory, portions
from attncompare.data.corpus import Corpus
from attncompare.data.dataset import TokenizerConfig
from attncompare.data.tokenizer import BOS, EOS, Encoded, Tokenizer, overlaps, token_bytes

Spans = Sequence[Sequence[int]]  # [start, end] of characters
Tell = Callable[[str], None]

_LARGE = 2**25  # bytes of text, some millions of tokens: more is kept in the cache
_FORM = 2  # of what is kept there
_PIECE = 2**15  # characters of a piece of a long document
# Every kind of tokenizer cuts between a character and the space or line end after it (tokenizer.py).
_CUT = re.compile(r"(?<=\S)(?=[ \n])")


class EncodedCorpus:
    """Learns vocabularies of ``corpus`` and encodes its splits; of a large one once for all runs, in the cache.

    Args:
        corpus: the text.
        fingerprint: of the corpus; what is cached is found by it, the tokenizer and what is encoded.
        tell: told in words how far it is, where that takes long.
    """

    def __init__(self, corpus: Corpus, fingerprint: str, tell: Tell) -> None:
        self._corpus, self._fingerprint, self._tell = corpus, fingerprint, tell

    def tokenizer(self, columns: Sequence[str], config: TokenizerConfig, whose: str = "the train split") -> Tokenizer:
        """Return a tokenizer trained on some columns of the train split (:meth:`Tokenizer.train`)."""
        texts = _TrainTexts(self._corpus, columns)
        if self._corpus.text_bytes("train") < _LARGE:
            return Tokenizer.train(texts, config, whose)

        def learned() -> list[Arrays]:
            self._tell(f"learning the vocabulary of {whose}")
            text = Tokenizer.train(texts, config, whose).to_text()
            return [{"vocabulary": np.frombuffer(text.encode(), dtype=np.uint8)}]

        arrays = cached_arrays(self._key("vocabulary", config.model_dump(), *columns), learned)
        return Tokenizer.parse(arrays["vocabulary"].tobytes(), "the cached vocabulary")

    def lines(self, split: str, column: str, tokenizer: Tokenizer) -> Arrays:
        """Return a side of a translation split (:func:`encode_lines`)."""
        return self._arrays(split, [column], tokenizer, lambda: encode_lines(self._texts(split, column), tokenizer))

    def stream(self, split: str, tokenizer: Tokenizer) -> Arrays:
        """Return a split that is one long text (:func:`encode_stream`)."""
        return self._arrays(
            split, ["stream", "text"], tokenizer, lambda: encode_stream(self._texts(split, "text"), tokenizer)
        )

    def rows(self, split: str, tokenizer: Tokenizer) -> Arrays:
        """Return a split whose rows stand for themselves (:func:`encode_rows`)."""
        columns = [name for name in ("text", "scored") if name in self._corpus.splits[split].column_names]

        def rows() -> Iterator[tuple[str, Any]]:
            for batch in self._batches(split, columns):
                yield from zip(batch["text"], batch.get("scored", [None] * len(batch["text"])), strict=True)

        return self._arrays(split, columns, tokenizer, lambda: encode_rows(rows(), tokenizer))

    def _arrays(
        self, split: str, what: Sequence[str], tokenizer: Tokenizer, parts: Callable[[], Iterable[Arrays]]
    ) -> Arrays:
        if self._corpus.text_bytes(split) < _LARGE:
            return in_memory(parts())
        return cached_arrays(self._key(tokenizer.to_text(), split, *what), parts)

    def _key(self, *settings: object) -> list[object]:
        return [_FORM, self._fingerprint, version("tokenizers"), *settings]

    def _texts(self, split: str, column: str) -> Iterator[str]:
        for batch in self._batches(split, [column]):
            yield from batch[column]

    def _batches(self, split: str, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
        """Yield batches that are small in memory, and tell of each tenth of a large split."""
        rows, large = self._corpus.splits[split].num_rows, self._corpus.text_bytes(split) >= _LARGE
        done = told = 0
        for batch in self._corpus.batches(split, columns):
            if large and 10 * done // rows >= told:
                self._tell(f"encoding {split}, {columns[0]}, {10 * told} %")
                told += 1
            yield batch
            done += len(batch[columns[0]])


class _TrainTexts:
    """The texts of some columns of the train split, column after column, as often as they are asked for."""

    def __init__(self, corpus: Corpus, columns: Sequence[str]) -> None:
        self._corpus, self._columns = corpus, columns

    def __iter__(self) -> Iterator[str]:
        for column in self._columns:
            for batch in self._corpus.batches("train", [column]):
                yield from batch[column]


def encode_lines(lines: Iterable[str], tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield ``ids`` and ``ends`` of ``lines``, part by part, without special tokens."""
    end = 0
    yield _part(tokenizer, [], [])
    for texts in portions(lines):
        part = _part(tokenizer, tokenizer.encode_ids(texts), [], end)
        end += len(part["ids"])
        yield part


def encode_rows(rows: Iterable[tuple[str, Spans | None]], tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield the same of rows with the spans that count, and of each token ``bytes`` and whether it is ``scored``.

    Args:
        rows: a text and its spans of characters that count; None: all do.
        tokenizer: cuts the texts.
    """
    end = 0
    yield {**_part(tokenizer, [], [[]]), "scored": np.zeros(0, dtype=np.uint8)}
    for group in portions(rows, size=lambda row: len(row[0])):
        encoded = tokenizer.encode_batch([text for text, _ in group])
        sizes = [token_bytes(text, tokens.offsets) for (text, _), tokens in zip(group, encoded, strict=True)]
        part = _part(tokenizer, [tokens.ids for tokens in encoded], sizes, end)
        end += len(part["ids"])
        scored = [_scored(text, tokens, spans) for (text, spans), tokens in zip(group, encoded, strict=True)]
        yield {**part, "scored": np.concatenate(scored)}


def encode_stream(documents: Iterable[str], tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield ``ids`` and ``bytes`` of BOS, document, EOS, document, EOS, ..., and where each document ends (its EOS is in).

    A long document is cut where the tokenizer cuts anyway, so that no part is large and the tokens are the same.
    """
    yield {**_part(tokenizer, [[BOS]], [[0]]), "ends": np.zeros(0, dtype=np.int64)}
    end = 1
    for group in portions(pieces(documents), size=lambda piece: len(piece[0])):
        encoded = tokenizer.encode_batch([text for text, _ in group])
        ids, sizes, ends = [], [], []
        for (text, last), tokens in zip(group, encoded, strict=True):
            ids.append([*tokens.ids, EOS] if last else tokens.ids)
            sizes.append([*token_bytes(text, tokens.offsets), *([0] if last else [])])
            end += len(ids[-1])
            ends += [end] if last else []
        yield {**_part(tokenizer, ids, sizes), "ends": np.array(ends, dtype=np.int64)}


def pieces(documents: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of each document, and whether a piece is its last; a short document is one piece."""
    for document in documents:
        start = 0
        while len(document) - start > _PIECE and (cut := _CUT.search(document, start + _PIECE)):
            yield document[start : cut.start()], False
            start = cut.start()
        yield document[start:], True


def _part(
    tokenizer: Tokenizer, ids: Sequence[Sequence[int]], sizes: Sequence[Sequence[int] | np.ndarray], before: int = 0
) -> Arrays:
    kind = np.uint16 if tokenizer.vocab_size <= 2**16 else np.int32
    flat = np.fromiter(chain.from_iterable(ids), dtype=kind)
    found = {"ids": flat, "ends": before + np.cumsum([len(row) for row in ids], dtype=np.int64)}
    return {**found, "bytes": np.fromiter(chain.from_iterable(sizes), dtype=np.int32)} if len(sizes) else found


def _scored(text: str, tokens: Encoded, spans: Spans | None) -> np.ndarray:
    if spans is None:
        return np.ones(len(tokens.ids), dtype=np.uint8)
    counts = (any(overlaps(text, offset, start, end) for start, end in spans) for offset in tokens.offsets)
    return np.fromiter(counts, dtype=np.uint8, count=len(tokens.offsets))
