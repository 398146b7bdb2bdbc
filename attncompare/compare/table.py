"""The table of a comparison: plain rows first, then the same rows for the terminal, for text files and for the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from statistics import fmean

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attncompare.compare.groups import Comparison, Variant
from attncompare.metric_names import COSTS, METRICS, TABLE_COSTS, TABLE_METRICS, TASK_TITLES, Metric
from attncompare.tracking.record import Run


@dataclass(frozen=True)
class Row:
    """One variant: ``values`` holds, by column key, the mean over its seeds, or None where a run lacks the figure."""

    variant: Variant
    heads: int
    values: dict[str, float | None]

    @property
    def ranked(self) -> bool:
        """Whether the row takes part in the ranking: each model once."""
        return self.variant.same_as is None


@dataclass(frozen=True)
class ResultTable:
    """The rows of one task, its columns, and what must be said about them."""

    title: str
    columns: tuple[Metric, ...]
    rows: tuple[Row, ...]
    caption: str
    notes: tuple[str, ...]

    def cell(self, row: Row, column: Metric) -> str:
        """Return the figure as people read it."""
        return column.format(row.values[column.key])

    def is_best(self, row: Row, column: Metric) -> bool:
        """Whether no ranked row is better, to the digits shown, and at least one is worse."""
        ranked = [other for other in self.rows if other.ranked and other.values[column.key] is not None]
        shown = {self.cell(other, column) for other in ranked}
        if not row.ranked or len(shown) < 2:
            return False
        choose = max if column.higher_is_better else min
        best = choose(ranked, key=lambda other: other.values[column.key] or 0.0)
        return self.cell(row, column) == self.cell(best, column)


def result_table(comparison: Comparison) -> ResultTable:
    """Return the table of ``comparison``: test figures of the best weights by val, and cost."""
    columns = tuple(METRICS[key] for key in TABLE_METRICS[comparison.task]) + tuple(COSTS[key] for key in TABLE_COSTS)
    rows = tuple(_row(variant, columns) for variant in comparison.variants)
    return ResultTable(TASK_TITLES[comparison.task], columns, rows, _caption(comparison), comparison.notes)


def rich_table(table: ResultTable, width: int) -> Table:
    """Return ``table`` for a console of ``width`` columns, 80 or more; best figures are bold, identical models dim."""
    drawn = Table(
        box=SIMPLE_HEAD,
        padding=(0, int(width >= 96)),
        pad_edge=False,
        show_edge=False,
        title=table.title,
        title_justify="left",
    )
    drawn.title_style = "bold"
    drawn.add_column("variant", overflow="fold", vertical="bottom")
    drawn.add_column("heads", justify="right", no_wrap=True)
    for column in table.columns:
        drawn.add_column(column.short, justify="right", no_wrap=True)
    for row in table.rows:
        cells = [Text(row.variant.title), Text(str(row.heads))]
        for column in table.columns:
            cells.append(Text(table.cell(row, column), style="bold" if table.is_best(row, column) else ""))
        drawn.add_row(*cells, style="" if row.ranked else "dim")
    return drawn


def print_table(console: Console, table: ResultTable) -> None:
    """Print ``table`` with its caption and notes."""
    console.print(rich_table(table, console.width))
    for line in (table.caption, *(f"Note: {note}." for note in table.notes)):
        console.print(Text(line, style="dim"))


def as_text(tables: Sequence[ResultTable], width: int = 100) -> str:
    """Return ``tables`` as plain text of at most ``width`` columns, without color, as a README holds it."""
    buffer = StringIO()
    console = Console(file=buffer, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    for table in tables:
        print_table(console, table)
        console.print()
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).strip("\n") + "\n"


def _row(variant: Variant, columns: Sequence[Metric]) -> Row:
    values = {column.key: _mean([_figure(run, column.key) for run in variant.runs]) for column in columns}
    return Row(variant, variant.runs[0].config.attention.heads, values)


def _figure(run: Run, key: str) -> float | None:
    return run.summary["cost" if key in COSTS else "test"].get(key)


def _mean(figures: Sequence[float | None]) -> float | None:
    """Return the mean over seeds, or None if one is missing: a mean over other seeds than the rest would mislead."""
    present = [figure for figure in figures if figure is not None]
    return fmean(present) if len(present) == len(figures) else None


def _caption(comparison: Comparison) -> str:
    run = comparison.variants[0].runs[0]
    counts = sorted({len(variant.seeds) for variant in comparison.variants})
    seeds = sorted({seed for variant in comparison.variants for seed in variant.seeds})
    listed = ", ".join(map(str, seeds))
    how = (
        f"seed {listed}"
        if counts == [1] and len(seeds) == 1
        else f"mean over {'-'.join(map(str, counts))} seeds ({listed})"
    )
    parts = [f"Test set of data={run.config.data.name}, best weights by val loss, {how}."]
    titles = {name: METRICS[name].title for name in TABLE_METRICS[comparison.task]}
    signatures = run.summary.get("signatures") or {}
    parts += [f"{titles[name]}: {signature}." for name, signature in signatures.items() if name in titles]
    if comparison.task == "translation":
        parts.append("Loss in nats per token.")
    return " ".join(parts)
