"""A corpus: three splits of text, and the fingerprint by which a run's record names them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict

from attncompare.data.splits import SPLITS


@dataclass(frozen=True)
class Corpus:
    """The data of a run before tokens.

    Translation columns are ``source`` and ``target`` (str) and, where gold alignments are known, ``source_spans`` and
    ``target_spans``: lists of [start, end, field], half-open in characters; what lies in the same field is aligned. Text
    columns are ``text`` (str) and, where only parts count, ``scored``: lists of [start, end].

    Attributes:
        splits: train, val and test.
        stream: True: rows are pieces of one long text; False: each row is a sequence of its own.
    """

    splits: DatasetDict
    stream: bool = False

    def column(self, split: str, name: str) -> list[Any]:
        """Return a whole column of a split as a list: read at once, many times faster than row by row."""
        return self.splits[split].with_format("arrow")[:][name].to_pylist()

    def batches(self, split: str, columns: Sequence[str], size: int = 10_000) -> Iterator[dict[str, list[Any]]]:
        """Yield a split in order, ``size`` rows at a time as ``{column: values}``, so that it is never whole in memory."""
        for table in self.splits[split].select_columns(list(columns)).with_format("arrow").iter(size):
            yield table.to_pydict()


def corpus(columns: dict[str, dict[str, list[Any]]], stream: bool = False) -> Corpus:
    """Make a corpus in memory from ``{split: {column: values}}``."""
    return Corpus(DatasetDict({split: Dataset.from_dict(columns[split]) for split in SPLITS}), stream)


def fingerprint(corpus: Corpus) -> str:
    """Return a SHA-256 over the column names and the content of every split.

    It reads values and never bytes in memory, so that chunking, caching, row selection and machine leave it as it is.
    """
    digest = hashlib.sha256()
    for split in sorted(corpus.splits):
        rows = corpus.splits[split]
        table = rows.with_format("arrow")[:]
        for column in sorted(rows.column_names):
            _feed(digest, f"{split}/{column}/{rows.num_rows}".encode())
            _feed_values(digest, table[column])
    return digest.hexdigest()


def _feed_values(digest: Any, values: pa.ChunkedArray) -> None:
    if values.null_count:
        raise ValueError("a corpus holds no null values")
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        _feed(digest, pc.list_value_length(values).to_numpy().astype("<i8").tobytes())
        _feed_values(digest, pc.list_flatten(values))
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        _feed(digest, pc.binary_length(values).to_numpy().astype("<i8").tobytes())
        _feed(digest, "".join(values.to_pylist()).encode())
    elif pa.types.is_null(values.type):  # the inside of lists that are all empty
        _feed(digest, b"")
    else:
        _feed(digest, values.to_numpy().astype("<i8").tobytes())


def _feed(digest: Any, content: bytes) -> None:
    digest.update(len(content).to_bytes(8, "little"))  # the length first, so that neighbours cannot run together
    digest.update(content)
