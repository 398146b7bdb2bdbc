"""Tables in files: their columns, and that each row has them all, told without loading them."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attncompare.data.files.lines import blocks, check_text, opened
from attncompare.data.files.source import Source
from attncompare.errors import Refused

_MOST_COLUMNS = 20  # in a message
_LONGEST = 2**28  # bytes of a row, which may be a document
_PARQUET = b"PAR1"  # begins and ends such a file


def check_table(source: Source, columns: dict[str, str]) -> None:
    """Check each file of a table, and that it has the columns.

    Args:
        source: the files.
        columns: the config key that asks for each, and its name; a dot leads into a column of columns.

    Raises:
        Refused: if a file is no table of its kind, or lacks a column (the message lists those that it has).
    """
    first: list[str] | None = None
    for path in source.paths:
        names = _CHECKS[source.kind](path)
        require_columns(columns, names, str(path))
        first = names if first is None else first
        if source.kind in ("tsv", "csv") and names != first:
            raise Refused(f"{path}: other columns than {source.paths[0]}")


def require_columns(columns: dict[str, str], names: list[str], where: str) -> None:
    """Refuse columns that are not among ``names``; ``columns`` as in :func:`check_table`."""
    for key, name in columns.items():
        if name not in names:
            more = f" and {len(names) - _MOST_COLUMNS} more" if len(names) > _MOST_COLUMNS else ""
            valid = ", ".join(repr(one)[1:-1][:100] for one in names[:_MOST_COLUMNS])
            raise Refused(f"{key}={name}: {where} has no such column; valid: {valid}{more}")


def header(path: Path, kind: str) -> list[str]:
    """Return the names of the columns of a tsv or csv file that was checked."""
    return next(_tsv_rows(path) if kind == "tsv" else _csv_rows(path))[1]


def _tsv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, line in _lines(path):
        yield number, line.split("\t")


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    rows = csv.reader((f"{line}\n" for _, line in _lines(path)), strict=True)  # a quoted value may hold line ends
    before = csv.field_size_limit(_LONGEST)
    try:
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise Refused(f"{path}, line {rows.line_num}: no CSV: {error}") from None
    finally:
        csv.field_size_limit(before)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for first, lines in blocks(path, _LONGEST):
        for number, line in enumerate(lines, start=first):
            where = f"{path}, line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise Refused(f"{where}: not UTF-8 (byte {error.start + 1} of the line)") from None
            check_text(f"{text}\n", where)
            yield number, text.removesuffix("\r")


def _check_rows(path: Path, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    names: list[str] | None = None
    count = 0
    for number, row in rows:
        if names is None:
            names = row
            if len(set(names)) < len(names):
                raise Refused(f"{path}: two columns have one name; the first line must name the columns")
        elif len(row) != len(names):
            raise Refused(f"{path}, line {number}: {len(row)} columns, but the first line names {len(names)}")
        else:
            count += 1
    if names is None or not count:
        raise Refused(f"{path} is empty; it must hold a line of column names, and rows")
    return names


def _check_json_lines(path: Path) -> list[str]:
    names: list[str] = []
    for number, lines in blocks(path, _LONGEST):
        if number == 1:
            names = _keys(lines[0], path)
        try:
            b"\n".join(lines).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = number + b"\n".join(lines)[: error.start].count(b"\n")
            raise Refused(f"{path}, line {line}: not UTF-8") from None
    if not names:
        raise Refused(f"{path} is empty; it must hold one JSON object a line")
    return names


def _keys(line: bytes, path: Path) -> list[str]:
    try:
        values = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # a text that is not UTF-8 is a ValueError too
        raise Refused(f"{path}, line 1: no JSON; write one JSON object a line") from None
    if not isinstance(values, dict) or not values:
        raise Refused(f"{path}, line 1: no JSON object; write one a line, with the columns' names as keys")
    return _nested(values)


def _nested(values: dict[str, Any], prefix: str = "") -> list[str]:
    names = []
    for key, value in values.items():
        names += _nested(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [f"{prefix}{key}"]
    return names


def _check_parquet(path: Path) -> list[str]:
    with opened(path) as file:
        begin = file.read(len(_PARQUET))
        file.seek(0, 2)
        size = file.tell()
        file.seek(max(size - len(_PARQUET), 0))
        if (begin, file.read(), size > 2 * len(_PARQUET)) != (_PARQUET, _PARQUET, True):
            raise Refused(f"{path}: no whole Parquet file")
    import pyarrow as pa  # not for every start of the program
    from pyarrow import parquet

    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise Refused(f"{path}: no Parquet file that can be read: {str(error).splitlines()[0]}") from None
    return [name for field in schema for name in _fields(field)]


def _fields(field: Any, prefix: str = "") -> list[str]:
    from pyarrow.types import is_struct

    if not is_struct(field.type):
        return [f"{prefix}{field.name}"]
    return [name for inner in field.type for name in _fields(inner, f"{prefix}{field.name}.")]


_CHECKS: dict[str, Callable[[Path], list[str]]] = {
    "tsv": lambda path: _check_rows(path, _tsv_rows(path)),
    "csv": lambda path: _check_rows(path, _csv_rows(path)),
    "jsonl": _check_json_lines,
    "parquet": _check_parquet,
}
