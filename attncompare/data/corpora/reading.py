"""One way to read whatever the place: builders of ``datasets`` for local files and for the hub, used alike.

A builder writes what it reads to the cache of ``datasets``, once for each state of the files, and maps that into memory.
The builders of files are called directly and not by ``load_dataset("text", ...)``, which tells the hub of every load.
"""

import glob
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import datasets
from datasets import Dataset, DatasetBuilder, Features, IterableDataset, Value
from datasets.packaged_modules.csv.csv import Csv
from datasets.packaged_modules.json.json import Json
from datasets.packaged_modules.parquet.parquet import Parquet
from datasets.packaged_modules.text.text import Text

from attncompare.data.files.source import Source
from attncompare.data.files.tables import header
from attncompare.errors import AttnCompareError, Refused, RunFailed

_BUILDERS: dict[str, tuple[type[DatasetBuilder], dict[str, Any]]] = {
    "lines": (Text, {"encoding": "utf-8-sig", "chunksize": 2**20}),  # characters in memory, several times over
    "document": (Text, {"encoding": "utf-8-sig", "sample_by": "document"}),
    "csv": (Csv, {}),
    "tsv": (Csv, {"sep": "\t", "quoting": 3}),  # a quotation mark is one: nothing in such a file is quoted
    "jsonl": (Json, {"parse_agent_traces": False}),
    "parquet": (Parquet, {}),
}
# A cell is the text that stands in it, also "NA", "null" and nothing.
_AS_IT_STANDS = {"keep_default_na": False, "na_filter": False, "skip_blank_lines": False, "encoding": "utf-8-sig"}
_ATTEMPTS = 3  # at a connection, five seconds apart
_TOLD = ("datasets", "huggingface_hub")  # libraries that would write about each attempt


def file_builder(source: Source, columns: list[str]) -> DatasetBuilder:
    """Return a builder for checked local files; its only split is ``train``.

    Args:
        source: the files.
        columns: those that are wanted, so that no others are converted where the kind of file allows.
    """
    kind, options = _BUILDERS[source.kind]
    options = dict(options)
    if source.kind in ("csv", "tsv"):
        names = header(source.paths[0], source.kind)
        options |= {**_AS_IT_STANDS, "features": Features({name: Value("string") for name in names})}
    elif source.kind == "parquet":
        options["columns"] = sorted({_outermost(name, source) for name in columns})
    return kind(data_files={"train": [glob.escape(str(path)) for path in source.paths]}, **options)


def _outermost(name: str, source: Source) -> str:
    from pyarrow import parquet

    names = parquet.read_schema(source.paths[0]).names
    return name if name in names else next(one for one in names if name.startswith(f"{one}."))


def read(builder: DatasetBuilder, split: str, where: str) -> Dataset:
    """Return a whole split, mapped into memory from the cache.

    Raises:
        Refused: if the data cannot be read, or have no such split.
        RunFailed: if the machine fails, as with a full disk.
    """
    with told_in_one_line(where):
        if builder.info.splits:
            _require_split(builder, split, where)
        builder.download_and_prepare()
        _require_split(builder, split, where)
        return builder.as_dataset(split)


def stream(builder: DatasetBuilder, split: str, where: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a split one by one, reading no more than is asked for.

    Raises:
        Refused: as :func:`read`; RunFailed likewise.
    """
    with told_in_one_line(where), _few_attempts():
        splits = builder.as_streaming_dataset()
        if split not in splits:
            raise Refused(_no_split(split, where, splits))
        rows: IterableDataset = splits[split]
        yield from rows


@contextmanager
def _few_attempts() -> Iterator[None]:
    """Keep a lost connection from being tried for minutes."""
    names = ("STREAMING_OPEN_MAX_RETRIES", "STREAMING_READ_MAX_RETRIES")
    before = {name: getattr(datasets.config, name) for name in names}
    for name in names:
        setattr(datasets.config, name, _ATTEMPTS)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(datasets.config, name, value)


def _require_split(builder: DatasetBuilder, split: str, where: str) -> None:
    if split not in builder.info.splits:
        raise Refused(_no_split(split, where, builder.info.splits))


def _no_split(split: str, where: str, valid: Any) -> str:
    return f"{where} has no split '{split}'; valid: {', '.join(map(str, valid))}"


@contextmanager
def told_in_one_line(where: str) -> Iterator[None]:
    """Turn what the libraries raise into one line that names ``where``, and keep them from writing anything else.

    Raises:
        Refused: where the data are bad.
        RunFailed: where the machine is, as with a full disk.
    """
    shown = not datasets.are_progress_bars_disabled()
    levels = {name: logging.getLogger(name).level for name in _TOLD}
    datasets.disable_progress_bars()
    for name in _TOLD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    except AttnCompareError:
        raise
    except Exception as error:  # libraries for files, tables and networks, each with exceptions of its own
        cause = error.__cause__ or error
        line = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        failed = isinstance(cause, OSError) and cause.errno is not None and not isinstance(cause, FileNotFoundError)
        raise (RunFailed if failed else Refused)(f"{where}: cannot be read: {line}") from None
    finally:
        if shown:
            datasets.enable_progress_bars()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
