"""The first documents of a corpus that may be larger than the disk: taken one by one, and kept in a file."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets import Dataset, DatasetBuilder

from attncompare.data.corpora.reading import stream
from attncompare.data.files.tables import require_columns
from attncompare.errors import Refused

_SCHEMA = pa.schema({"text": pa.string()})
_AT_ONCE = 1000  # documents in memory


def first_documents(builder: DatasetBuilder, split: str, column: str, count: int, where: str, state: Any) -> Dataset:
    """Return the first documents as column ``text``, mapped from a file in the cache; taken before, they are not again.

    Args:
        builder: of the data.
        split: which.
        column: that holds the documents; a dot leads into a column of columns.
        count: how many at most.
        where: what is read, for the message.
        state: plain values that tell other data apart: files with their times, or a revision.

    Raises:
        Refused: if there is no such split or column, or one of the documents is no text.
        RunFailed: if the connection is lost.
    """
    asked = json.dumps([state, split, column, count], sort_keys=True)
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "attncompare"
    file = folder / f"first-{hashlib.sha256(asked.encode()).hexdigest()[:32]}.arrow"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        rows = islice(stream(builder, split, where), count)
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:  # gone again whatever happens
            part = Path(unfinished) / file.name
            _write(part, (_text(row, column, where) for row in rows))
            part.replace(file)
    return Dataset.from_file(str(file))


def _write(file: Path, texts: Iterator[str]) -> None:
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, _SCHEMA) as writer:
        while batch := list(islice(texts, _AT_ONCE)):
            writer.write_batch(pa.record_batch({"text": pa.array(batch, pa.string())}, schema=_SCHEMA))


def _text(row: dict[str, Any], column: str, where: str) -> str:
    value: Any = row
    for name in [column] if column in row else column.split("."):
        if not isinstance(value, dict) or name not in value:
            require_columns({"data.column": column}, list(row), where)
        value = value[name]
    if not isinstance(value, str):
        raise Refused(f"data.column={column}: {where} holds {type(value).__name__} there, not text")
    return value
