"""A comparison in the terminal and in text files: the table, the verdicts, and what must be said of both."""

from collections.abc import Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attncompare.compare.gathering import left_out_note
from attncompare.compare.groups import Comparison
from attncompare.compare.table import ResultTable, Row, result_table
from attncompare.compare.verdicts import Verdict, how_tested, in_order, verdicts
from attncompare.text import Metric

_WIDE = 118  # columns in which mean and spread fit on one line
_ROOMY = 96  # columns in which there is a space around each column, and room for the least of them
_ROOMY_ONLY = ("train_seconds",)
_MOST_VERDICTS = 10


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print the table of ``comparison``, its verdicts, the decided ones first, and its notes."""
    table = result_table(comparison)
    console.print(rich_table(table, console.width))
    console.print(Text(table.caption, style="dim"))
    found = verdicts(comparison)
    if any(verdict.difference.n > 1 for verdict in found):  # else one note says that one seed decides nothing
        console.print()
        console.print(_verdict_list(found))
        console.print(Text(how_tested(found), style="dim"))
    notes = [*table.notes, *([left_out_note(comparison.left_out)] if comparison.left_out else [])]
    for note in notes:
        console.print(Text(f"Note: {note}.", style="dim"))


def rich_table(table: ResultTable, width: int) -> Table:
    """Return ``table`` for a console of ``width`` columns, 80 or more; best figures are bold, identical models dim."""
    drawn = Table(
        box=SIMPLE_HEAD,
        padding=(0, int(width >= _ROOMY)),
        pad_edge=False,
        show_edge=False,
        title=table.title,
        title_justify="left",
    )
    drawn.title_style = "bold"
    drawn.add_column("variant", overflow="fold")
    if table.has_spread:
        drawn.add_column("n", justify="right", no_wrap=True)
    drawn.add_column("heads", justify="right", no_wrap=True)
    columns = [column for column in table.columns if width >= _ROOMY or column.key not in _ROOMY_ONLY]
    for column in columns:
        drawn.add_column(column.short, justify="right", no_wrap=True)
    for row in table.rows:
        cells = [Text(row.variant.title)]
        if table.has_spread:
            cells.append(Text(str(len(row.variant.runs))))
        cells.append(Text(str(row.heads)))
        cells += [_cell(table, row, column, width) for column in columns]
        drawn.add_row(*cells, style="" if row.ranked else "dim")
    return drawn


def as_text(comparisons: Sequence[Comparison], width: int = 100) -> str:
    """Return ``comparisons`` as plain text of at most ``width`` columns, without color, as a README holds it."""
    buffer = StringIO()
    console = Console(file=buffer, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    for comparison in comparisons:
        print_comparison(console, comparison)
        console.print()
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).strip("\n") + "\n"


def _verdict_list(found: Sequence[Verdict]) -> Table:
    """Return the first verdicts, decided ones first, each behind a mark, and how many more the page has."""
    ordered = in_order(found)
    lines = Table.grid(padding=(0, 1))
    for verdict in ordered[:_MOST_VERDICTS]:
        style = "" if verdict.decided else "dim"
        lines.add_row("●" if verdict.decided else "○", Text(f"{verdict.sentence}.", style=style))
    more = ordered[_MOST_VERDICTS:]
    if more:
        decided = sum(verdict.decided for verdict in more)
        lines.add_row("…", Text(f"and {len(more)} more on the page, {decided or 'none'} of them decided.", style="dim"))
    return lines


def _cell(table: ResultTable, row: Row, column: Metric, width: int) -> Text:
    """Return mean and spread: beside each other where there is room, else below each other."""
    best = "bold" if table.is_best(row, column) else ""
    spread = table.spread(row, column)
    cell = Text(table.cell(row, column), style=best)
    return cell.append(f"{' ' if width >= _WIDE else chr(10)}{spread}", style="not bold dim") if spread else cell
