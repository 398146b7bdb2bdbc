"""What a benchmark found, as plain data: tables of figures, and how a table is drawn."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from attncompare.bench.spread import Spread

FORMAT = 1  # of the JSON

Kind = Literal["seconds", "bytes", "ratio", "rate", "number", "share", "text"]
Value = Spread | float | int | str | None


@dataclass(frozen=True)
class Column:
    """A column of a table. ``kind`` says what its figures are; ``ratio`` is "times", ``share`` is of 1."""

    key: str
    title: str
    kind: Kind


@dataclass(frozen=True)
class Row:
    """One line: ``label`` in its first cells, figures by the columns' keys. ``note``: why figures are missing."""

    label: tuple[str, ...]
    values: Mapping[str, Value]
    note: str = ""


@dataclass(frozen=True)
class Line:
    """What one contender has in a picture: a figure for each place on its axis, None where there is none."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Picture:
    """Lines over the numbers ``x`` (both axes logarithmic) or, where ``x`` are names, bars."""

    title: str
    x_title: str
    y_title: str
    x: tuple[float, ...] | tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """Figures under a title. ``labels`` are the titles of the label's cells; ``notes`` are sentences."""

    title: str
    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Report:
    """All that one run of a benchmark found.

    ``command`` is what was typed; ``machine`` and ``settings`` hold plain JSON values.
    """

    command: str
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    tables: Sequence[Table]


def as_data(report: Report) -> dict[str, Any]:
    """Return ``report`` as plain JSON values; a spread has median, low, high (quartiles) and count."""
    return {"format": FORMAT, **dataclasses.asdict(report)}
