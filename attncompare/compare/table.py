"""The table of a comparison: its rows, and how it is printed in the terminal, with the verdicts and notes."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from attncompare.compare.costs import cheapest, cost_estimates, cost_notes
from attncompare.compare.gathering import left_out_note
from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.identity import shared_settings
from attncompare.compare.one_seed import one_seed_notes
from attncompare.compare.statistics import Estimate
from attncompare.compare.verdicts import (
    Verdict,
    estimates,
    how_tested,
    in_order,
    leaders,
    verdict_notes,
    verdicts,
)
from attncompare.tasks.metrics import baselines_said, metric
from attncompare.text import COSTS, PER_TOKEN_COSTS, TABLE_COSTS, printable_lines

_EQUAL = {"parameters": "parameters", "flops": "training FLOPs", "time": "training time"}
_WIDE = 118  # columns in which mean and spread fit on one line
_ROOMY = 96  # columns in which there is a space around each column
_MOST_VERDICTS = 10
_COVERED = {
    False: "Seeds vary initial values and dropout; the order of the data and the test set stay the same.",
    True: "Seeds vary initial values, dropout and the order of the data; the test set stays the same.",
}
Column = Any  # a metric or a cost: what both declare


@dataclass(frozen=True)
class Row:
    """One variant: by column the mean over its seeds but the collapsed ones, and their spread; none where a run lacks it."""

    variant: Variant
    values: dict[str, float | None]
    estimates: dict[str, Estimate]
    collapsed: tuple[int, ...] = ()

    @property
    def count(self) -> str:
        """How many seeds its means are of, and of how many: "6", or "5/6" where one collapsed."""
        own, kept = self.variant.all_seeds, len(self.variant.all_seeds) - len(self.collapsed)
        return f"{kept}/{len(own)}" if self.collapsed else str(kept)

    @property
    def heads(self) -> int:
        """Its attention heads."""
        return self.variant.runs[0].config.attention.heads

    @property
    def ranked(self) -> bool:
        """Whether the row takes part in the ranking: each model once, and without its controls."""
        return self.variant.same_as is None and self.variant.control_of is None


@dataclass(frozen=True)
class ResultTable:
    """The rows of one task, its columns by name (metrics, then costs), and what must be said about them.

    ``axes`` says along which axes the variants differ. ``best`` has by column the labels of those variants of which none is
    better beyond the noise.
    """

    title: str
    columns: dict[str, Column]
    rows: tuple[Row, ...]
    caption: str
    notes: tuple[str, ...]
    axes: str
    best: dict[str, set[str]]

    def cell(self, row: Row, name: str) -> str:
        """Return the figure as people read it."""
        return self.columns[name].format(row.values[name])

    def spread(self, row: Row, name: str) -> str:
        """Return the standard deviation over seeds as people read it, "±1.21"; nothing where there is none, nor for costs."""
        found = row.estimates.get(name)
        return "" if name in COSTS or found is None or found.sd is None else f"±{self.columns[name].format(found.sd)}"

    def is_best(self, row: Row, name: str) -> bool:
        """Whether no variant is better beyond the noise, and at least one is worse."""
        return row.ranked and row.variant.label in self.best.get(name, ())


def result_table(comparison: Comparison) -> ResultTable:
    """Return the table of ``comparison``: figures of quality, and cost."""
    runs = [run for variant in comparison.variants for run in variant.runs]
    # A token of one tokenizer is not one of another.
    costs = [name for name in TABLE_COSTS if comparison.one_tokenizer or name not in PER_TOKEN_COSTS]
    if comparison.budget is not None or all(comparison.figure(run, "train_seconds") is None for run in runs):
        costs.remove("train_seconds")  # that of whole runs says nothing of figures from before their ends
    columns: dict[str, Column] = {one.name: one for one in comparison.shown}
    columns |= {name: COSTS[name] for name in costs}
    own = {**estimates(comparison), **cost_estimates(comparison)}
    rows = tuple(
        Row(
            variant,
            {name: own[variant.label, name].mean if (variant.label, name) in own else None for name in columns},
            {name: own[variant.label, name] for name in columns if (variant.label, name) in own},
            comparison.collapsed.get(variant.label, ()),
        )
        for variant in comparison.variants
    )
    equal = comparison.options.equal
    title = f"{comparison.title}, at equal {_EQUAL[equal]}" if equal else comparison.title
    notes = (*one_seed_notes(comparison), *comparison.notes, *cost_notes(comparison), *verdict_notes(comparison))
    best = {**leaders(comparison), **cheapest(comparison)}
    axes = f"Axes: {', '.join(map(str, comparison.axes))}" if comparison.axes else ""
    if shared := shared_settings([variant.runs[0] for variant in comparison.variants], comparison.options.hidden):
        axes += f"; attention of all: {', '.join(shared)}"
    return ResultTable(title, columns, rows, _caption(comparison), notes, axes, best)


def _caption(comparison: Comparison) -> str:
    run, budget = comparison.variants[0].runs[0], comparison.budget
    where = f"Val set of data={run.config.data.name}, each run after {budget.shown}" if budget else ""
    monitored = dict.fromkeys(one.config.trainer.monitor for variant in comparison.variants for one in variant.runs)
    chosen = " or ".join(metric(name).title for name in monitored)
    where = where or f"Test set of data={run.config.data.name}, best weights by val {chosen}"
    signatures = run.summary.get("signatures") or {}
    counts = sorted({len(variant.seeds) for variant in comparison.variants})
    seeds = sorted({seed for variant in comparison.variants for seed in variant.seeds})
    listed = ", ".join(map(str, seeds))
    over = f"mean ± standard deviation over {'-'.join(map(str, counts))} seeds ({listed})"
    if counts == [1]:
        over = f"seed {listed}" if len(seeds) == 1 else f"one seed each ({listed})"
    parts = [f"{where}, {over}."]
    if counts != [1]:
        parts.append(_COVERED["order_seed" in comparison.options.vary])
    parts += [f"{one.title}: {signatures[one.name]}." for one in comparison.shown if one.name in signatures]
    parts += [f"Without a model: {said}." for said in ([] if budget else baselines_said(run.config, run.summary))]
    parts += [
        f"{one.title[0].upper()}{one.title[1:]} in {one.unit}." for one in comparison.shown if one.unit not in ("", "%")
    ]
    return " ".join(parts)


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print the axes and the table of ``comparison``, its verdicts, the decided ones first, and its notes."""
    table = result_table(comparison)
    if table.axes:
        console.print(Text(printable_lines(table.axes)))
    console.print(_rich_table(table, console.width))
    console.print(Text(printable_lines(table.caption), style="dim"))
    found = verdicts(comparison)
    if any(verdict.difference.n > 1 for verdict in found):  # else one note says that one seed decides nothing
        console.print()
        console.print(_verdict_list(found))
        console.print(Text(how_tested(comparison, found), style="dim"))
    for note in [*table.notes, *([left_out_note(comparison.left_out)] if comparison.left_out else [])]:
        console.print(Text(printable_lines(f"Note: {note}."), style="dim"))


def as_text(comparisons: Sequence[Comparison], width: int = 100) -> str:
    """Return ``comparisons`` as plain text of at most ``width`` columns, without color, as a README holds it."""
    buffer = StringIO()
    console = Console(file=buffer, width=width, color_system=None, force_terminal=False, legacy_windows=False)
    for comparison in comparisons:
        print_comparison(console, comparison)
        console.print()
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()).strip("\n") + "\n"


def _rich_table(table: ResultTable, width: int) -> Table:
    """Return ``table`` for a console of ``width`` columns; best figures are bold, identical models dim.

    What does not fit is left out, and named below: costs first, the last ones first, then the less important metrics, at
    last the counts of seeds and heads. Labels and figures are never broken; only where a label and the first metric alone
    are too wide, the label goes on below, setting by setting.
    """
    leading, *rest = table.columns
    metrics = [name for name in rest if name not in COSTS]
    costs = [name for name in rest if name in COSTS]
    counts = [*(["n"] if any(len(row.variant.runs) > 1 for row in table.rows) else []), "heads"]
    optional = [*counts, *metrics, *costs]
    console = Console(width=10_000)
    layouts = [room for room in (width, _WIDE - 1, _ROOMY - 1) if room <= width] or [width]
    for kept in range(len(optional), -1, -1):
        shown = optional[:kept]
        for room in layouts:
            drawn = _drawn(table, [one for one in counts if one in shown], [leading, *shown[len(counts) :]], room)
            if Measurement.get(console, console.options, drawn).maximum <= width:
                break
        else:
            continue
        break
    if left_out := optional[kept:]:
        named = ", ".join(table.columns[name].title if name in table.columns else name for name in left_out)
        drawn.caption = f"Left out for lack of room: {named}. A wider terminal, the page and --json FILE have them."
        drawn.caption_justify, drawn.caption_style = "left", "dim"
    return drawn


def _drawn(table: ResultTable, counts: Sequence[str], names: Sequence[str], room: int) -> Table:
    """Return ``table`` with the columns ``counts`` and ``names``, laid out as for ``room`` columns."""
    space = (0, int(room >= _ROOMY), 0, 0)
    drawn = Table(box=SIMPLE_HEAD, padding=space, pad_edge=False, show_edge=False)
    drawn.title, drawn.title_justify, drawn.title_style = table.title, "left", "bold"
    drawn.add_column("variant")
    for heading in [*counts, *(table.columns[name].short for name in names)]:
        drawn.add_column(heading, justify="right", no_wrap=True)
    for row in table.rows:
        counted = {"n": row.count, "heads": row.heads}
        cells = [_cell(table, row, name, room) for name in names]
        style = "" if row.ranked else "dim"
        drawn.add_row(*map(Text, (row.variant.title, *(str(counted[one]) for one in counts))), *cells, style=style)
    return drawn


def _cell(table: ResultTable, row: Row, name: str, width: int) -> Text:
    """Return mean and spread: beside each other where there is room, else below each other."""
    spread = table.spread(row, name)
    cell = Text(table.cell(row, name), style="bold" if table.is_best(row, name) else "")
    return cell.append(f"{' ' if width >= _WIDE else chr(10)}{spread}", style="not bold dim") if spread else cell


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
