"""A report in the terminal."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from attncompare.bench.facts import machine_line
from attncompare.bench.report import Report, Table
from attncompare.bench.values import quartiles, shown


def print_report(console: Console, report: Report) -> None:
    """Print the tables of ``report`` and the machine; quartiles stand behind medians where they spread."""
    for table in report.tables:
        console.print()
        console.print(_drawn(table))
        for note in table.notes:
            console.print(Text(note, style="dim"))
    console.print()
    console.print(Text(f"{machine_line(report.machine)}.", style="dim"))


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, title=table.title, title_justify="left")
    drawn.title_style = "bold"
    for title in table.labels:
        drawn.add_column(title, overflow="fold")
    for column in table.columns:
        drawn.add_column(column.title, justify="right")
    before: tuple[str, ...] = ()
    for row in table.rows:
        same = row.label[:-1] == before  # what several rows share is said once
        label = ("",) * len(before) + row.label[-1:] if same and before else row.label
        before = row.label[:-1]
        cells = []
        for column in table.columns:
            value = row.values.get(column.key)
            around = quartiles(value, column.kind)
            cells.append(Text(shown(value, column.kind)).append(f" {around}" if around else "", style="dim"))
        if row.note:
            label = (*label[:-1], f"{label[-1]}: {row.note}")
        drawn.add_row(*map(Text, label), *cells)
    return drawn
