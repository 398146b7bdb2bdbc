"""A corpus as ids, and the vocabularies for it: of a large one made once for all runs, of a small one again by each."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from attncompare.config import TokenizerConfig
from attncompare.data.corpus import Corpus
from attncompare.data.encoding import encode_lines, encode_rows, encode_stream
from attncompare.data.token_arrays import Arrays, in_cache, in_memory
from attncompare.data.tokenizer import Tokenizer

_LARGE = 2**25  # bytes of text, some millions of tokens: more is kept in the cache
_FORM = 1  # of what is kept
_ROWS = 10_000  # at a time, fewer where they are long
_BYTES = 2**20  # at a time
_TENTHS = 10

Tell = Callable[[str], None]


class EncodedCorpus:
    """Learns vocabularies of ``corpus`` and encodes its splits.

    Args:
        corpus: the text.
        fingerprint: of the corpus; what is kept is found by it, the tokenizer and what is encoded.
        tell: told in words how far it is, where that takes long.
    """

    def __init__(self, corpus: Corpus, fingerprint: str, tell: Tell) -> None:
        self._corpus, self._fingerprint, self._tell = corpus, fingerprint, tell

    def tokenizer(self, columns: Sequence[str], config: TokenizerConfig, whose: str = "the train split") -> Tokenizer:
        """Return a tokenizer trained on some columns of the train split (:meth:`Tokenizer.train`)."""
        texts = _TrainTexts(self._corpus, columns)
        if text_bytes(self._corpus, "train") < _LARGE:
            return Tokenizer.train(texts, config, whose)

        def learned() -> list[Arrays]:
            self._tell(f"learning the vocabulary of {whose}")
            text = Tokenizer.train(texts, config, whose).to_text()
            return [{"vocabulary": np.frombuffer(text.encode(), dtype=np.uint8)}]

        folder = self._folder(["vocabulary", config.model_dump(), *columns])
        return Tokenizer.parse(in_cache(folder, learned)["vocabulary"].tobytes(), folder / "vocabulary")

    def lines(self, split: str, column: str, tokenizer: Tokenizer) -> Arrays:
        """Return a side of a translation split (:func:`attncompare.data.encoding.encode_lines`)."""
        return self._arrays(split, [column], tokenizer, lambda: encode_lines(self._texts(split, column), tokenizer))

    def stream(self, split: str, tokenizer: Tokenizer) -> Arrays:
        """Return a split that is one long text (:func:`attncompare.data.encoding.encode_stream`)."""
        texts = ["stream", "text"]
        return self._arrays(split, texts, tokenizer, lambda: encode_stream(self._texts(split, "text"), tokenizer))

    def rows(self, split: str, tokenizer: Tokenizer) -> Arrays:
        """Return a split whose rows stand for themselves (:func:`attncompare.data.encoding.encode_rows`)."""
        columns = [name for name in ("text", "scored") if name in self._corpus.splits[split].column_names]
        return self._arrays(
            split, columns, tokenizer, lambda: encode_rows(self._texts_and_spans(split, columns), tokenizer)
        )

    def _arrays(
        self, split: str, what: Sequence[str], tokenizer: Tokenizer, parts: Callable[[], Iterable[Arrays]]
    ) -> Arrays:
        if text_bytes(self._corpus, split) < _LARGE:
            return in_memory(parts())
        return in_cache(self._folder([tokenizer.to_text(), split, *what]), parts)

    def _folder(self, settings: Sequence[object]) -> Path:
        """Return where that is kept which follows from the corpus, the code and ``settings``."""
        everything = json.dumps([_FORM, self._fingerprint, version("tokenizers"), *settings])
        return cache_folder() / hashlib.sha256(everything.encode()).hexdigest()[:32]

    def _texts(self, split: str, column: str) -> Iterator[str]:
        for batch in self._batches(split, [column]):
            yield from batch[column]

    def _texts_and_spans(self, split: str, columns: Sequence[str]) -> Iterator[tuple[str, Any]]:
        for batch in self._batches(split, columns):
            yield from zip(batch["text"], batch.get("scored", [None] * len(batch["text"])), strict=True)

    def _batches(self, split: str, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
        """Yield batches that are small in memory, and tell of each tenth of a large split."""
        rows, size = self._corpus.splits[split].num_rows, text_bytes(self._corpus, split)
        done = told = 0
        for batch in self._corpus.batches(split, columns, _at_once(self._corpus, split)):
            if size >= _LARGE and _TENTHS * done // rows >= told:
                self._tell(f"encoding {split}, {columns[0]}, {100 * told // _TENTHS} %")
                told += 1
            yield batch
            done += len(batch[columns[0]])


def text_bytes(corpus: Corpus, split: str) -> int:
    """Return about how many bytes a split takes."""
    return int(corpus.splits[split].data.nbytes)


def _at_once(corpus: Corpus, split: str) -> int:
    """Return how many rows of a split are small in memory together."""
    return max(1, min(_ROWS, corpus.splits[split].num_rows * _BYTES // max(1, text_bytes(corpus, split))))


def cache_folder() -> Path:
    """Return where encoded text is kept: beside what ``datasets`` keeps."""
    return Path(datasets.config.HF_DATASETS_CACHE) / "attncompare"


class _TrainTexts:
    """The texts of some columns of the train split, column after column, as often as they are asked for."""

    def __init__(self, corpus: Corpus, columns: Sequence[str]) -> None:
        self._corpus, self._columns = corpus, columns

    def __iter__(self) -> Iterator[str]:
        for column in self._columns:
            for batch in self._corpus.batches("train", [column], _at_once(self._corpus, "train")):
                yield from batch[column]
