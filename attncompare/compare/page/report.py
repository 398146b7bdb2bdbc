"""The page of a comparison as one HTML file that holds all that it shows and asks no network for anything."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from attncompare.compare.groups import Comparison
from attncompare.compare.page.answer import NUMBERS, cost_sentences, headline, numbers, pairs_by_metric
from attncompare.compare.page.charts import curve_figures, drawn_variants, is_number, length_data, pareto_data, styles
from attncompare.compare.page.maps import BYTES, page_maps
from attncompare.compare.page.record import record
from attncompare.compare.page.samples import samples
from attncompare.compare.table import ResultTable, result_table
from attncompare.compare.verdicts import how_tested, verdicts
from attncompare.errors import Refused
from attncompare.maps.page import content_policy, environment, script_json, viewer_css, viewer_js
from attncompare.record import write_text

_FOLDER = Path(__file__).parent
_MOST_DRAWN = 8  # variants in the curves at first


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
    """Return the page as text.

    Raises:
        Refused: if a run's maps, metrics or predictions are damaged.
    """
    scripts = {"viewer_js": viewer_js(), "page_js": page_js()}
    return (
        environment(_FOLDER)
        .get_template("page.html.j2")
        .render(
            sections=[_section(comparison, BYTES // len(comparisons)) for comparison in comparisons],
            css=viewer_css() + page_css(),
            policy=content_policy(*scripts.values()),
            **scripts,
        )
    )


@cache
def page_css() -> Markup:
    """Return the page's style sheet, which needs the attention viewer's before it."""
    return Markup((_FOLDER / "page.css").read_text(encoding="utf-8"))


@cache
def page_js() -> Markup:
    """Return the page's script: it draws each chart from the JSON that stands beside it."""
    return Markup((_FOLDER / "page.js").read_text(encoding="utf-8"))


def _section(comparison: Comparison, map_bytes: int) -> dict[str, Any]:
    """Return what the template shows of one task."""
    table, found = result_table(comparison), verdicts(comparison)
    maps, maps_note = page_maps(comparison, map_bytes)
    items = samples(comparison)
    charts = {
        "curves": curve_figures(drawn_variants(comparison), comparison.drawn),
        "pareto": pareto_data(comparison, table),
        "lengths": length_data(comparison),
    }
    return {
        "id": comparison.task,
        "styles": styles(comparison),
        "seeds": max(len(variant.runs) for variant in comparison.variants),
        "headline": headline(comparison, found),
        "by_metric": pairs_by_metric(found),
        "tests": [NUMBERS, *map(numbers, found)] if found else [],
        "costs": cost_sentences(table),
        "table": table,
        "how_tested": how_tested(found),
        "drawn": _drawn(comparison, table),
        "ranges": _ranges(table),
        "left_out": comparison.left_out,
        "charts": charts,
        "json": {name: script_json(data) for name, data in charts.items()},
        "maps_json": script_json(maps),
        "maps_note": maps_note,
        "samples": items,
        "marked": any("reference" in sample.given for sample in items),
        "record": record(comparison),
        "whole_runs": f"From the whole runs, not after {comparison.budget.shown} as the table above."
        if comparison.budget
        else "",
    }


def _drawn(comparison: Comparison, table: ResultTable) -> set[str]:
    """Return the labels of the variants that the pictures show at first: all, or of many the best ones."""
    rows = [row for row in table.rows if row.ranked]
    if len(rows) <= _MOST_DRAWN:
        return {row.variant.label for row in table.rows}
    metric = comparison.tested[0]
    worst = -math.inf if metric.higher_is_better else math.inf
    figures = {row.variant.label: row.values.get(metric.name) for row in rows}
    numbers = {label: value if is_number(value) else worst for label, value in figures.items()}
    return set(sorted(numbers, key=lambda label: numbers[label], reverse=metric.higher_is_better)[:_MOST_DRAWN])


def _ranges(table: ResultTable) -> dict[tuple[str, str], str]:
    """Return by variant's label and metric the interval of its mean over seeds, "[30.1, 31.4]"."""
    return {
        (row.variant.label, name): f"[{column.format(interval.low)}, {column.format(interval.high)}]"
        for row in table.rows
        for name, column in table.columns.items()
        if (estimate := row.estimates.get(name)) and (interval := estimate.interval)
    }
