"""The table of a comparison as plain rows, for the terminal, for text files and for the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

from attncompare.compare.diverged import diverged_seeds
from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.statistics import Estimate
from attncompare.compare.verdicts import estimates, verdict_notes
from attncompare.text import COSTS, METRICS, PER_TOKEN_COSTS, TABLE_COSTS, TABLE_METRICS, TASK_TITLES, Metric


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        variant: whose row it is.
        heads: its attention heads.
        values: by column key, the mean over its seeds, or None where a run lacks the figure.
        estimates: by metric key, mean, spread and interval over its seeds; none where a run lacks the figure.
        diverged: whether a seed of it diverged, so that the others are the lucky ones: it is never the best.
    """

    variant: Variant
    heads: int
    values: dict[str, float | None]
    estimates: dict[str, Estimate] = field(default_factory=dict)
    diverged: bool = False

    @property
    def ranked(self) -> bool:
        """Whether the row takes part in the ranking: each model once, and without its controls."""
        return self.variant.same_as is None and self.variant.control_of is None


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

    def spread(self, row: Row, column: Metric) -> str:
        """Return the standard deviation over seeds as people read it, "±1.21"; nothing where there is none."""
        estimate = row.estimates.get(column.key)
        return "" if estimate is None or estimate.sd is None else f"±{column.format(estimate.sd)}"

    @property
    def has_spread(self) -> bool:
        """Whether any variant has several seeds."""
        return any(len(row.variant.runs) > 1 for row in self.rows)

    def is_best(self, row: Row, column: Metric) -> bool:
        """Whether no ranked row is better, to the digits shown, and at least one is worse; NaN is neither."""
        figures = {
            self.cell(other, column): other.values[column.key]
            for other in self.rows
            if other.ranked and not other.diverged
        }
        numbers = {shown: value for shown, value in figures.items() if value is not None and not math.isnan(value)}
        if not row.ranked or row.diverged or len(numbers) < 2:
            return False
        choose = max if column.higher_is_better else min
        return self.cell(row, column) == choose(numbers, key=lambda shown: numbers[shown])


def result_table(comparison: Comparison) -> ResultTable:
    """Return the table of ``comparison``: figures of quality, and cost."""
    columns = _columns(comparison)
    by_variant = estimates(comparison)
    rows = tuple(_row(comparison, variant, columns, by_variant) for variant in comparison.variants)
    title = TASK_TITLES[comparison.task]
    if comparison.options.equal:
        title = f"{title}, at equal {_EQUAL[comparison.options.equal]}"
    notes = (*comparison.notes, *verdict_notes(comparison))
    return ResultTable(title, columns, rows, _caption(comparison), notes)


_EQUAL = {"parameters": "parameters", "flops": "training FLOPs", "time": "training time"}


def _columns(comparison: Comparison) -> tuple[Metric, ...]:
    metrics = TABLE_METRICS[comparison.task] if comparison.options.metric is None else comparison.tested
    # A token of one tokenizer is not one of another.
    costs = [key for key in TABLE_COSTS if comparison.one_tokenizer or key not in PER_TOKEN_COSTS]
    if comparison.budget is not None or not _known(comparison, "train_seconds"):
        costs.remove("train_seconds")  # that of whole runs says nothing of figures from before their ends
    return (*(METRICS[key] for key in metrics), *(COSTS[key] for key in costs))


def _known(comparison: Comparison, key: str) -> bool:
    runs = [run for variant in comparison.variants for run in variant.runs]
    return any(comparison.figure(run, key) is not None for run in runs)


def _row(
    comparison: Comparison,
    variant: Variant,
    columns: Sequence[Metric],
    by_variant: Mapping[tuple[str, str], Estimate],
) -> Row:
    values = {column.key: _mean([comparison.figure(run, column.key) for run in variant.runs]) for column in columns}
    keys = [column.key for column in columns if (variant.label, column.key) in by_variant]
    heads = variant.runs[0].config.attention.heads
    over_seeds = {key: by_variant[variant.label, key] for key in keys}
    return Row(variant, heads, values, over_seeds, diverged=bool(diverged_seeds(comparison, variant)))


def _mean(figures: Sequence[float | None]) -> float | None:
    """Return the mean over seeds, or None if one is missing: a mean over other seeds than the rest would mislead."""
    present = [figure for figure in figures if figure is not None]
    # mean, not fmean: it adds as fractions, so that even the largest figures have one, and infinite ones of both signs.
    return float(mean(present)) if len(present) == len(figures) else None


def _caption(comparison: Comparison) -> str:
    run = comparison.variants[0].runs[0]
    where = (
        f"Test set of data={run.config.data.name}, best weights by val loss"
        if comparison.budget is None
        else f"Val set of data={run.config.data.name}, each run after {comparison.budget.shown}"
    )
    parts = [f"{where}, {_seeds(comparison)}."]
    shown = {column.key for column in _columns(comparison)}
    signatures = run.summary.get("signatures") or {}
    parts += [f"{METRICS[name].title}: {signature}." for name, signature in signatures.items() if name in shown]
    if comparison.task == "translation" and "loss" in shown:
        parts.append("Loss in nats per token.")
    return " ".join(parts)


def _seeds(comparison: Comparison) -> str:
    counts = sorted({len(variant.seeds) for variant in comparison.variants})
    seeds = sorted({seed for variant in comparison.variants for seed in variant.seeds})
    listed = ", ".join(map(str, seeds))
    if counts == [1]:
        return f"seed {listed}" if len(seeds) == 1 else f"one seed each ({listed})"
    return f"mean ± standard deviation over {'-'.join(map(str, counts))} seeds ({listed})"
