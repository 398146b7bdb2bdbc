"""The first documents of a corpus that may be larger than the disk, taken one by one."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetBuilder

from attncompare.data.corpora.kept_rows import kept_rows
from attncompare.data.corpora.reading import stream
from attncompare.data.files.tables import require_columns
from attncompare.errors import Refused

_SCHEMA = pa.schema({"text": pa.string()})
_AT_ONCE = 1000  # documents in memory


def first_documents(builder: DatasetBuilder, split: str, column: str, count: int, where: str, state: Any) -> Dataset:
    """Return the first documents as column ``text``, mapped from a file; taken before, they are not again.

    Args:
        builder: of the data.
        split: which.
        column: that holds the documents; a dot leads into a column of columns.
        count: how many at most.
        where: what is read, for the message.
        state: plain values that tell other data apart: files with their times, or a revision.

    Raises:
        Refused: if there is no such split or column, or one of the documents is no text.
        RunFailed: if the machine fails, as with a full disk.
    """

    def taken() -> Iterator[pa.Table]:
        texts = (_text(row, column, where) for row in islice(stream(builder, split, where), count))
        while batch := list(islice(texts, _AT_ONCE)):
            yield pa.table({"text": pa.array(batch, pa.string())})

    return kept_rows(json.dumps([state, split, column, count], sort_keys=True).encode(), _SCHEMA, taken)


def _text(row: dict[str, Any], column: str, where: str) -> str:
    value: Any = row
    for name in [column] if column in row else column.split("."):
        if not isinstance(value, dict) or name not in value:
            require_columns({"data.column": column}, list(row), where)
        value = value[name]
    if not isinstance(value, str):
        raise Refused(f"data.column={column}: {where} holds {type(value).__name__} there, not text")
    return value
