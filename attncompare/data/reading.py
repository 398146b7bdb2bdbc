"""From files to rows of text, in which every string stands as it was written.

Text, csv, tsv and JSON lines are read by Python itself: other readers take ``NA`` for nothing, ``007`` for 7, a date in
JSON for another text, a quotation mark in tsv for the beginning of a longer field, a carriage return for the end of a
line, and fill up a row that is too short; and they cannot name the line of an error. Parquet and folders of Arrow files
are typed, and read by ``datasets``.
"""

import csv
import glob
import gzip
import json
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, BinaryIO, cast

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from attncompare.data.cache import cached_rows, portions
from attncompare.data.corpus import tables
from attncompare.data.files import Source
from attncompare.errors import AttnCompareError, Refused, RunFailed
from attncompare.text import counted

Columns = Mapping[str, tuple[str, str]]
"""By the name that a column gets: the config key that asks for it, and its name; a dot leads into a column of columns."""
Rows = Iterator[tuple[int, Sequence[Any]]]
"""The number of a row's line, and its cells."""

_FORM = 1  # of what is cached
_LARGEST = 2**30  # bytes of a document: Arrow holds at most 2 GiB of text in one value
_MOST_COLUMNS = 20  # in a message


def read(sources: Sequence[Source], columns: Columns, blank: bool, first: int | None = None) -> datasets.Dataset:
    """Return the rows of one split, mapped into memory.

    Args:
        sources: one, or two texts of lines that translate each other line by line.
        columns: those that are wanted.
        blank: whether a text may be blank.
        first: at most so many rows, of which no more are read; None: all.

    Raises:
        Refused: if a file is missing, empty or damaged, has no such column, or holds something else than text there; in
            one line, with the number of the file's line where it is known.
    """
    paths = [path for source in sources for path in source.paths]
    states = []
    for path in paths:
        if not path.is_file():  # a pipe would never end
            raise Refused(f"{path}: {'no plain file' if path.exists() else 'no such file'}")
        states.append([str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns])
    kind, where = sources[0].kind, str(paths[0])
    if kind in ("parquet", "arrow"):
        rows = _typed(sources[0], columns, first is not None)
        if first is not None:
            return first_rows(rows, columns, where, blank, first, states)
        return text_columns(rows, columns, where, blank)

    def cells() -> Iterator[Sequence[str]]:
        if len(sources) == 2:
            return _parallel(paths[0], paths[1], columns, blank)
        read_file, asked = _READERS[kind], list(columns.values())
        return chain.from_iterable(_checked(read_file(path, asked), f"{path}, line", columns, blank) for path in paths)

    return _cached([kind, states], columns, blank, first, cells)


def first_rows(
    rows: Iterable[dict[str, Any]], columns: Columns, where: str, blank: bool, first: int, state: Any
) -> datasets.Dataset:
    """Return the first of rows that come one by one; taken before, they are not again.

    Args:
        rows: for example of a dataset larger than the disk.
        columns, blank: see :func:`read`.
        where: what is read, for messages.
        first: how many at most.
        state: plain values that tell these rows from all others.
    """

    def cells() -> Rows:
        for number, row in enumerate(rows, start=1):
            yield number, _picked(row, list(columns.values()), where, number == 1)

    return _cached(state, columns, blank, first, lambda: _checked(cells(), f"{where}, row", columns, blank))


def text_columns(rows: datasets.Dataset, columns: Columns, where: str, blank: bool) -> datasets.Dataset:
    """Return the wanted columns of typed rows, each checked in every row; arguments and errors as of :func:`read`."""
    names = dict(columns.values())
    if not set(names.values()) <= set(rows.column_names):
        rows = rows.flatten()
    require_columns(columns.values(), rows.column_names, where)
    for key, name in names.items():
        feature = rows.features[name]
        if not (isinstance(feature, datasets.Value) and feature.dtype in ("string", "large_string")):
            kind = feature.dtype if isinstance(feature, datasets.Value) else type(feature).__name__
            raise Refused(f"{key}={name}: {where} holds {kind} there, not text")
    if not len(rows):
        raise Refused(f"{where} is empty")
    rows = rows.select_columns(list(names.values()))
    rows = rows.rename_columns({name: new for new, (_, name) in columns.items() if name != new})
    before = 0
    for table in tables(rows):
        for column, (key, name) in columns.items():
            values = table[column]
            bad = [
                (pc.is_null(values), "no text"),
                (pc.match_substring(values, "\0"), "a NUL"),
                (pc.equal(pc.binary_length(pc.utf8_trim_whitespace(values)), 0), _BLANK),
            ]
            for found, what in bad[: 2 if blank else 3]:
                if pc.any(found).as_py():
                    row = before + pc.index(found, True).as_py() + 1
                    raise Refused(f"{where}, row {row}: {what} in {column} ({key}={name})")
        before += len(table)
    return rows


def require_columns(asked: Iterable[tuple[str, str]], names: Sequence[str], where: str) -> None:
    """Refuse columns, each given with the config key that asks for it, that are not among ``names``."""
    for key, name in asked:
        if name not in names:
            more = f" and {len(names) - _MOST_COLUMNS} more" if len(names) > _MOST_COLUMNS else ""
            valid = ", ".join(repr(one)[1:-1][:100] for one in names[:_MOST_COLUMNS])
            raise Refused(f"{key}={name}: {where} has no such column; valid: {valid}{more}")


@contextmanager
def told_in_one_line(where: str) -> Iterator[None]:
    """Turn what libraries raise into one line that names ``where``, and keep them from writing anything else.

    Raises:
        Refused: where the data are bad.
        RunFailed: where the disk or the network is.
    """
    shown = not datasets.are_progress_bars_disabled()
    levels = {name: logging.getLogger(name).level for name in ("datasets", "huggingface_hub")}
    datasets.disable_progress_bars()
    for name in levels:
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


def _cached(
    state: Any, columns: Columns, blank: bool, first: int | None, cells: Callable[[], Iterator[Sequence[str]]]
) -> datasets.Dataset:
    schema = pa.schema([(name, pa.string()) for name in columns])

    def made() -> Iterator[pa.Table]:
        for portion in portions(islice(cells(), first), size=lambda row: sum(map(len, row))):
            yield pa.table([pa.array(column, pa.string()) for column in zip(*portion, strict=True)], schema)

    return cached_rows([_FORM, state, dict(columns), blank, first], schema, made)


_BLANK = "blank (remove the row, or keep such pairs with data.keep_empty=true)"


def _checked(rows: Rows, place: str, columns: Columns, blank: bool) -> Iterator[Sequence[str]]:
    """Yield the cells of rows that hold nothing but text; ``place`` is the file and what its numbers count."""
    empty = True
    for number, cells in rows:
        empty = False
        for cell, (column, (key, name)) in zip(cells, columns.items(), strict=True):
            if not isinstance(cell, str):
                what = "no text" if cell is None else f"{type(cell).__name__}, not text,"
            elif "\0" in cell:
                what = "a NUL"
            elif not blank and not cell.strip():
                what = _BLANK
            else:
                continue
            raise Refused(f"{place} {number}: {what} in {column} ({key}={name})")
        yield cells
    if empty:
        raise Refused(f"{place.rpartition(',')[0]} is empty")


def _parallel(source: Path, target: Path, columns: Columns, blank: bool) -> Iterator[Sequence[str]]:
    """Yield the pairs of two files of lines."""
    sides = [
        _checked(_one_a_line(path, []), f"{path}, line", {name: columns[name]}, blank)
        for name, path in (("source", source), ("target", target))
    ]
    for count, (left, right) in enumerate(zip_longest(*sides)):
        if left is None or right is None:
            sizes = [
                count + (row is not None) + sum(1 for _ in side) for row, side in zip((left, right), sides, strict=True)
            ]
            raise Refused(
                f"{source} has {counted(sizes[0], 'line')} but {target} has {sizes[1]}; line by line they must translate"
            )
        yield left[0], right[0]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file, which end in LF or CRLF alone, with their numbers; each but maybe the last ends in LF."""
    try:
        with cast(BinaryIO, gzip.open(path)) if path.name.endswith(".gz") else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = _decoded(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, f"{path}, line {number}")
                if "\r" in text:
                    text = f"{text[:-2]}\n" if text.endswith("\r\n") else text
                    if "\r" in text:
                        raise Refused(
                            f"{path}, line {number}: a carriage return inside; lines must end in LF or CRLF (where they "
                            "end in CR alone: tr '\\r' '\\n' < FILE > NEW)"
                        )
                yield number, text
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(f"{path}: not a whole gzip file: {error}") from None
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from None


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Refused(
            f"{where}: not UTF-8 (byte {error.start + 1} of the line is 0x{content[error.start]:02x})"
        ) from None


def _one_a_line(path: Path, _: Sequence[tuple[str, str]]) -> Rows:
    for number, line in _lines(path):
        yield number, (line.removesuffix("\n"),)


def _document(path: Path, asked: Sequence[tuple[str, str]]) -> Rows:
    """Yield the whole file as one row."""
    require_columns(asked, ["text"], f"{path} is plain text, which")
    if path.stat().st_size > _LARGEST:
        raise Refused(f"{path}: beyond {_LARGEST} bytes; as one document it must fit memory: cut it into files")
    text = "".join(line for _, line in _lines(path))
    if text.strip():
        yield 1, (text,)


def _tsv(path: Path, asked: Sequence[tuple[str, str]]) -> Rows:
    """Yield the wanted cells of a table in which nothing is quoted."""
    rows = ((number, line.removesuffix("\n").split("\t")) for number, line in _lines(path))
    return _cells(path, rows, asked)


def _csv(path: Path, asked: Sequence[tuple[str, str]]) -> Rows:
    """Yield the wanted cells of a table in which quotation marks quote, line ends too."""
    csv.field_size_limit(2**31 - 1)  # a cell may be a document
    reader = csv.reader((line for _, line in _lines(path)), strict=True)

    def rows() -> Rows:
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise Refused(f"{path}, line {reader.line_num}: no CSV: {error}") from None

    return _cells(path, rows(), asked)


def _cells(path: Path, rows: Rows, asked: Sequence[tuple[str, str]]) -> Rows:
    _, names = next(rows, (0, []))
    if not names:
        raise Refused(f"{path} is empty; its first line must name the columns")
    if len(set(names)) < len(names):
        raise Refused(f"{path}: two columns have one name; the first line must name the columns")
    require_columns(asked, names, str(path))
    places = [names.index(name) for _, name in asked]
    for number, row in rows:
        if len(row) != len(names):
            raise Refused(f"{path}, line {number}: {len(row)} columns, but the first line names {len(names)}")
        yield number, [row[place] for place in places]


def _json_lines(path: Path, asked: Sequence[tuple[str, str]]) -> Rows:
    begun = False
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if "\\u" in line:
                json.dumps(values, ensure_ascii=False).encode()  # fails where an escape is half a character
        except (ValueError, RecursionError):
            raise Refused(f"{path}, line {number}: no JSON; write one JSON object a line") from None
        if not isinstance(values, dict):
            raise Refused(f"{path}, line {number}: no JSON object; write one a line, with the columns' names as keys")
        yield number, _picked(values, asked, str(path), not begun)
        begun = True


_READERS: dict[str, Callable[[Path, Sequence[tuple[str, str]]], Rows]] = {
    "lines": _one_a_line,
    "document": _document,
    "tsv": _tsv,
    "csv": _csv,
    "jsonl": _json_lines,
}


def _picked(values: dict[str, Any], asked: Sequence[tuple[str, str]], where: str, required: bool) -> list[Any]:
    """Return the wanted cells of a row; None for what is missing, unless all are ``required``."""
    flat = values if all(name in values for _, name in asked) else dict(_flat(values))
    if required:
        require_columns(asked, list(flat), where)
    return [flat.get(name) for _, name in asked]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _typed(source: Source, columns: Columns, streaming: bool) -> Any:
    """Return the rows of Parquet files, or of a folder of ``save_to_disk``; one by one where they are streamed."""
    where = str(source.paths[0])
    with told_in_one_line(where):
        if source.kind == "arrow":
            return datasets.load_from_disk(str(source.paths[0].parent))
        names = parquet.read_schema(source.paths[0]).names
        # Others may be pictures; what is missing is told when all columns are known.
        wanted = sorted(
            {outer for _, name in columns.values() for outer in (name, name.split(".")[0]) if outer in names}
        )
        paths = [glob.escape(str(path)) for path in source.paths]
        return datasets.Dataset.from_parquet(paths, columns=wanted or None, streaming=streaming)
