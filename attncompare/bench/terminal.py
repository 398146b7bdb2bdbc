"""A report in the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from attncompare.bench.facts import machine_line
from attncompare.bench.report import Report, Table, Value
from attncompare.bench.spread import Spread
from attncompare.bench.values import shown

_WIDE = 100  # columns in which there is room for how far figures spread


def print_report(console: Console, report: Report) -> None:
    """Print the tables of ``report`` and the machine; medians alone where the terminal is narrow."""
    wide = console.width >= _WIDE
    for table in report.tables:
        console.print()
        console.print(_drawn(table, wide))
        for note in table.notes:
            console.print(Text(note, style="dim"))
    console.print()
    behind = "Medians; ±: half the range between the quartiles. " if wide else "Medians. "
    console.print(Text(f"{behind}{machine_line(report.machine)}.", style="dim"))


def _drawn(table: Table, wide: bool) -> RichTable:
    drawn = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, title=table.title, title_justify="left")
    drawn.title_style = "bold"
    for title in table.labels:
        drawn.add_column(title, overflow="fold")
    for column in table.columns:
        drawn.add_column(column.title, justify="right", no_wrap=True)
    before: tuple[str, ...] = ()
    for row in table.rows:
        same = row.label[:-1] == before  # what several rows share is said once
        label = ("",) * len(before) + row.label[-1:] if same and before else row.label
        before = row.label[:-1]
        cells = []
        for column in table.columns:
            value = row.values.get(column.key)
            cells.append(Text(shown(value, column.kind)).append(_around(value) if wide else "", style="dim"))
        if row.note:
            label = (*label[:-1], f"{label[-1]}: {row.note}")
        drawn.add_row(*map(Text, label), *cells)
    return drawn


def _around(value: Value) -> str:
    """Return " ±4 %" for a spread whose quartiles are 8 % of the median apart, "" for all else."""
    if not isinstance(value, Spread) or value.count < 2 or not value.median:
        return ""
    return f" ±{50 * (value.high - value.low) / abs(value.median):.0f} %"
