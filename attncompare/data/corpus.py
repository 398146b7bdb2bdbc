"""A corpus: three splits of text, and the fingerprint by which a run's record names them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict

from attncompare.data.splits import SPLITS

_BATCH_BYTES = 8 * 2**20  # that a batch of rows should not exceed by much, however long the rows are


@dataclass(frozen=True)
class Corpus:
    """The data of a run before tokens.

    Translation columns are ``source`` and ``target`` (str) and, where gold alignments are known, ``source_spans`` and
    ``target_spans``: lists of [start, end, field], half-open in characters; what lies in the same field is aligned. Text
    columns are ``text`` (str) and, where only parts count, ``scored``: lists of [start, end].

    Attributes:
        splits: train, val and test.
        stream: True: rows are pieces of one long text; False: each row is a sequence of its own.
        test_is_val: the test split holds the rows of val, because the corpus has no test data of its own.
        origin: where the data come from, as plain JSON, for the record: names, addresses, revisions.
    """

    splits: DatasetDict
    stream: bool = False
    test_is_val: bool = False
    origin: dict[str, Any] = field(default_factory=dict)

    def column(self, split: str, name: str) -> list[Any]:
        """Return a whole column of a split as a list: read at once, many times faster than row by row."""
        return self.splits[split].with_format("arrow")[:][name].to_pylist()

    def batches(self, split: str, columns: Sequence[str], size: int = 10_000) -> Iterator[dict[str, list[Any]]]:
        """Yield these columns of a split in order, in batches that stay small however large the split is.

        Args:
            split: train, val or test.
            columns: names.
            size: rows in a batch, at most; fewer where rows are long.
        """
        for table in tables(self.splits[split].select_columns(list(columns)), size):
            yield {name: table[name].to_pylist() for name in columns}


def tables(rows: Dataset, size: int = 10_000) -> Iterator[pa.Table]:
    """Yield all rows in order as Arrow tables of at most ``size`` rows, fewer where rows are long."""
    # All of the data behind a selection of rows counts, so that this is a mean over what may be many more rows.
    mean = rows.data.nbytes / max(len(rows.data), 1)
    size = max(1, min(size, int(_BATCH_BYTES / max(mean, 1))))
    arrow = rows.with_format("arrow")
    for start in range(0, len(rows), size):
        yield arrow[start : start + size]


def corpus(columns: dict[str, dict[str, list[Any]]], stream: bool = False) -> Corpus:
    """Make a corpus in memory from ``{split: {column: values}}``."""
    return Corpus(DatasetDict({split: Dataset.from_dict(columns[split]) for split in SPLITS}), stream)


def fingerprint(corpus: Corpus) -> str:
    """Return a SHA-256 over the column names and the content of every split.

    It reads values and never bytes in memory, so that chunking, caching, row selection and machine leave it as it is; and
    it reads them in batches, several times over, so that it needs little memory however large the corpus is.
    """
    digest = hashlib.sha256()
    for split in sorted(corpus.splits):
        rows = corpus.splits[split]
        for column in sorted(rows.column_names):
            _feed(digest, f"{split}/{column}/{rows.num_rows}".encode())
            _feed_column(digest, rows.select_columns(column))
    return digest.hexdigest()


def _feed_column(digest: Any, rows: Dataset) -> None:
    """Feed lists level by level, outermost first: the lengths of all lists of a level, then what stands inside."""
    count, depth = len(rows), 0
    while True:
        kind, inner = None, 0
        digest.update((8 * count).to_bytes(8, "little"))  # a prefix of its own for each level, see _feed
        for values in _level(rows, depth):
            kind = values.type
            numbers = _lengths(values)
            digest.update(numbers.tobytes())
            inner += int(numbers.sum()) if _is_list(kind) or _is_text(kind) else 0
        if kind is None or not _is_list(kind):
            break
        count, depth = inner, depth + 1
    if kind is not None and _is_text(kind):
        digest.update(inner.to_bytes(8, "little"))
        for values in _level(rows, depth):
            digest.update("".join(values.to_pylist()).encode())


def _level(rows: Dataset, depth: int) -> Iterator[pa.ChunkedArray]:
    """Yield the values of the only column, or what its lists hold at a depth, in batches."""
    for table in tables(rows):
        values = table[0]
        for _ in range(depth):
            values = pc.list_flatten(values)
        if values.null_count and not pa.types.is_null(values.type):
            raise ValueError("a corpus holds no null values")
        yield values


def _lengths(values: pa.ChunkedArray) -> np.ndarray:
    """Return what a level feeds: the lengths of lists and texts (in bytes), or the numbers themselves."""
    if _is_list(values.type):
        values = pc.list_value_length(values)
    elif _is_text(values.type):
        values = pc.binary_length(values)
    elif pa.types.is_null(values.type):  # the inside of lists that are all empty
        return np.zeros(0, dtype="<i8")
    return values.to_numpy().astype("<i8")


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _feed(digest: Any, content: bytes) -> None:
    digest.update(len(content).to_bytes(8, "little"))  # the length first, so that neighbours cannot run together
    digest.update(content)
