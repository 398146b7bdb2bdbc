"""Rows that no file of the user's holds as they are wanted: kept in a file in the cache of ``datasets``, made once."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import datasets
import pyarrow as pa
from datasets import Dataset


def kept_rows(what: bytes, schema: pa.Schema, rows: Callable[[], Iterable[pa.Table]]) -> Dataset:
    """Return rows mapped into memory from their file, which is written before if it is not there.

    Args:
        what: tells these rows apart from all others.
        schema: of the rows.
        rows: gives them in order, in tables that fit memory.
    """
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "attncompare"
    file = folder / f"rows-{hashlib.sha256(what).hexdigest()[:32]}.arrow"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:  # gone again whatever happens
            part = Path(unfinished) / file.name
            with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
                for table in rows():
                    writer.write_table(table.cast(schema))
            part.replace(file)
    return Dataset.from_file(str(file))
