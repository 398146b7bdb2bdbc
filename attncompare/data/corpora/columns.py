"""From rows as they were read to the columns of a corpus: chosen, renamed, and checked to hold nothing but text."""

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Value

from attncompare.data.corpus import tables
from attncompare.data.files.tables import require_columns
from attncompare.errors import Refused


def text_columns(rows: Dataset, wanted: dict[str, tuple[str, str]], where: str, blank: bool) -> Dataset:
    """Return the wanted columns alone, each checked in every row.

    Args:
        rows: as read.
        wanted: by the name that a column gets: the config key that asks for it, and its name; a dot leads into a column
            of columns.
        where: what is read, for the message.
        blank: whether a text may be blank.

    Raises:
        Refused: if a column is missing or holds no text, or a text is missing, holds a NUL or is blank.
    """
    names = dict(wanted.values())
    if not set(names.values()) <= set(rows.column_names):
        rows = rows.flatten()
    require_columns(names, rows.column_names, where)
    for key, name in names.items():
        feature = rows.features[name]
        if not (isinstance(feature, Value) and feature.dtype in ("string", "large_string")):
            kind = feature.dtype if isinstance(feature, Value) else type(feature).__name__
            raise Refused(f"{key}={name}: {where} holds {kind} there, not text")
    if not len(rows):
        raise Refused(f"{where} is empty")
    rows = rows.select_columns([name for _, name in wanted.values()])
    rows = rows.rename_columns({name: new for new, (_, name) in wanted.items() if name != new})
    _check(rows, where, blank)
    return rows


def _check(rows: Dataset, where: str, blank: bool) -> None:
    before = 0
    for table in tables(rows):
        for column in table.column_names:
            values = table[column]
            _refuse(pc.is_null(values), f"{where}: no {column}", before)
            _refuse(pc.match_substring(values, "\0"), f"{where}: a NUL in {column}", before)
            if not blank:
                empty = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(values)), 0)
                _refuse(empty, f"{where}: {column} blank (to keep such pairs: data.keep_empty=true)", before)
        before += len(table)


def _refuse(bad: pa.ChunkedArray, what: str, before: int) -> None:
    if pc.any(bad).as_py():
        raise Refused(f"{what} in row {before + pc.index(bad, True).as_py() + 1}")
