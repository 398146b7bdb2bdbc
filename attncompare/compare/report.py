"""The page of a comparison: one self-contained HTML file. Each ``page_*.py`` makes the data of one part of it."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from attncompare.compare.curves import curve_figures
from attncompare.compare.groups import Comparison
from attncompare.compare.page_answer import cost_sentences, headline, pairs_by_metric
from attncompare.compare.page_lengths import length_data
from attncompare.compare.page_maps import BYTES, page_maps
from attncompare.compare.page_numbers import numbers_table
from attncompare.compare.page_pareto import pareto_data
from attncompare.compare.page_record import record
from attncompare.compare.page_samples import samples
from attncompare.compare.page_styles import styles
from attncompare.compare.page_values import is_number
from attncompare.compare.table import ResultTable, result_table
from attncompare.compare.verdicts import how_tested, verdicts
from attncompare.errors import Refused
from attncompare.text import METRICS
from attncompare.record import write_text
from attncompare.maps.page import content_policy, environment, script_json, viewer_css, viewer_js

_PAGE = Path(__file__).parent / "page"
_MOST_DRAWN = 8  # variants in the curves at first
_SCRIPTS = ("charts.js", "lengths.js", "pareto.js", "curves.js", "heads.js")  # in this order: each uses those before


def write_report(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write the page to ``path``, whole or not at all.

    Raises:
        Refused: if the file cannot be written, or a run's maps, metrics or predictions are damaged.
    """
    page = report_page(comparisons)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, page)
    except OSError as error:
        raise Refused(f"--html {path}: cannot write there ({error.strerror})") from None


def report_page(comparisons: Sequence[Comparison]) -> str:
    """Return the page as text: it asks no network for anything and holds all that it shows.

    Raises:
        Refused: if a run's maps, metrics or predictions are damaged.
    """
    scripts = {"viewer_js": viewer_js(), "plotly": plotly_js(), "page_js": _page_js()}
    return (
        environment(_PAGE)
        .get_template("page.html.j2")
        .render(
            sections=[_section(comparison, BYTES // len(comparisons)) for comparison in comparisons],
            viewer_css=viewer_css(),
            page_css=page_css(),
            policy=content_policy(*scripts.values()),
            **scripts,
        )
    )


def _section(comparison: Comparison, map_bytes: int) -> dict[str, Any]:
    """Return what the templates show of one task."""
    table = result_table(comparison)
    found = verdicts(comparison)
    curves = curve_figures(comparison)
    pareto = pareto_data(comparison, table)
    lengths = length_data(comparison)
    maps = page_maps(comparison, map_bytes)
    items = samples(comparison)
    return {
        "id": comparison.task,
        "styles": styles(comparison),
        "seeds": max(len(variant.runs) for variant in comparison.variants),
        "headline": headline(comparison, found),
        "pairs": pairs_by_metric(found),
        "tests": numbers_table(found),
        "costs": cost_sentences(table),
        "table": table,
        "how_tested": how_tested(found),
        "drawn": _drawn(comparison, table),
        "winners": _winners(table),
        "ranges": _ranges(table),
        "left_out": comparison.left_out,
        "curves": curves,
        "curves_json": script_json(curves),
        "pareto": pareto,
        "pareto_json": script_json(pareto),
        "lengths": lengths,
        "lengths_json": script_json(lengths),
        "maps_json": script_json(maps.viewer),
        "maps_note": maps.note,
        "heads": maps.heads,
        "heads_json": script_json(maps.heads),
        "samples": items,
        "marked": any("reference" in sample.given for sample in items),
        "record": record(comparison),
        "whole_runs": _whole_runs(comparison),
    }


def _whole_runs(comparison: Comparison) -> str:
    """Return what a reader must know of all that was kept of whole runs where the table stops before their ends."""
    if comparison.budget is None:
        return ""
    return f"From the whole runs, not after {comparison.budget.shown} as the table above."


def _winners(table: ResultTable) -> set[tuple[str, str]]:
    return {(row.variant.label, c.key) for row in table.rows for c in table.columns if table.is_best(row, c)}


def _drawn(comparison: Comparison, table: ResultTable) -> set[str]:
    """Return the labels of the variants that the pictures show at first: all, or of many the best ones."""
    metric = METRICS[comparison.tested[0]]
    rows = [row for row in table.rows if row.ranked]
    if len(rows) <= _MOST_DRAWN:
        return {row.variant.label for row in table.rows}
    worst = -math.inf if metric.higher_is_better else math.inf
    figures = {row.variant.label: row.values[metric.key] for row in rows}
    numbers = {label: value if is_number(value) else worst for label, value in figures.items()}
    return set(sorted(numbers, key=lambda label: numbers[label], reverse=metric.higher_is_better)[:_MOST_DRAWN])


def _ranges(table: ResultTable) -> dict[tuple[str, str], str]:
    """Return by variant's label and metric the interval of its mean over seeds, "[30.1, 31.4]"."""
    return {
        (row.variant.label, column.key): f"[{column.format(interval.low)}, {column.format(interval.high)}]"
        for row in table.rows
        for column in table.columns
        if (estimate := row.estimates.get(column.key)) and (interval := estimate.interval)
    }


@cache
def page_css() -> Markup:
    """Return the page's style sheet, which stands on the viewer's."""
    return Markup((_PAGE / "page.css").read_text(encoding="utf-8"))


@cache
def charts_js() -> Markup:
    """Return what all pictures share that plotly draws: colors, light and dark, sizes."""
    return Markup((_PAGE / "charts.js").read_text(encoding="utf-8"))


@cache
def plotly_js() -> Markup:
    """Return plotly's script."""
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs().replace("\r\n", "\n"))  # as a browser reads it, for its digest


@cache
def _page_js() -> Markup:
    parts = [(_PAGE / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    return Markup("(() => {\n'use strict';\n" + "\n".join(parts) + "\n})();")
