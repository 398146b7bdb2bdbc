"""Files of one kind that hold the rows of one split, one after another."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from attncompare.errors import Refused

Kind = Literal["lines", "document", "tsv", "csv", "jsonl", "parquet"]
TABLES: dict[str, Kind] = {"tsv": "tsv", "csv": "csv", "jsonl": "jsonl", "json": "jsonl", "parquet": "parquet"}
TEXTS: dict[str, Kind] = {"txt": "document", "md": "document"}
_MOST_NAMES = 12  # in a message


class Source(NamedTuple):
    """Files and how to read them.

    Attributes:
        kind: ``lines``: each line is a row; ``document``: each file is a row; else a table with named columns.
        paths: in the order of their rows.
    """

    kind: Kind
    paths: tuple[Path, ...]


def kind_of(path: Path) -> Kind | None:
    """Return what the ending of a file's name says that it is, packed by gzip or not; None: nothing that is read."""
    name = path.name.lower()
    ending = name.removesuffix(".gz").rpartition(".")[2]
    if ending == "parquet" and name.endswith(".gz"):
        return None
    return {**TABLES, **TEXTS}.get(ending)


def one_kind(paths: Iterable[Path], where: str) -> Source:
    """Return files as one source.

    Raises:
        Refused: if their endings say different things.
    """
    paths = tuple(paths)
    kinds = {kind_of(path): path.name for path in paths}
    if len(kinds) > 1:
        raise Refused(f"{where} holds files of different kinds: {', '.join(sorted(kinds.values()))}; keep one kind")
    (kind,) = kinds
    assert kind is not None
    return Source(kind, paths)


def files_of(folder: Path, name: str) -> list[Path]:
    """Return the files that hold the split ``name``: one, or its parts as the hub names them (train-00000-of-00002)."""
    mine = re.compile(rf"{re.escape(name)}(-\d+-of-\d+)?\.\w+(\.gz)?")
    return sorted(path for path in folder.iterdir() if mine.fullmatch(path.name) and kind_of(path))


def listed(folder: Path) -> str:
    """Return the names in a folder for a message, cut where they are many."""
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"it holds {', '.join(names[:_MOST_NAMES])}{more}" if names else "it is empty"
