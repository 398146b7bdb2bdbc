"""The page of a comparison: one self-contained HTML file with tables, curves, maps, samples and the record."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from attncompare.compare.curves import curve_figures
from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.table import ResultTable, result_table
from attncompare.errors import Refused
from attncompare.tracking.files import write_text
from attncompare.tracking.maps import load_maps
from attncompare.tracking.page import MapSeries, environment, script_json, viewer_css, viewer_data, viewer_js
from attncompare.tracking.record import Run

_GIVEN = ("source", "reference", "prompt")  # what every variant was given or asked for
_ANSWER = {"translation": "prediction", "language_model": "continuation"}
_MOST_SAMPLES = 12


@dataclass(frozen=True)
class Sample:
    """One test item: what was given, and each variant's answer (None where its record lacks one)."""

    given: dict[str, str]
    answers: list[tuple[Variant, str | None]]

    @property
    def agree(self) -> bool:
        """Whether all variants answer the same."""
        return len({answer for _, answer in self.answers}) == 1


def write_report(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write the page to ``path``, whole or not at all.

    Raises:
        Refused: if the file cannot be written, or a run's maps, metrics or predictions are damaged.
    """
    template = environment(Path(__file__).parent).get_template("report.html.j2")
    page = template.render(
        sections=[_section(comparison) for comparison in comparisons],
        viewer_css=viewer_css(),
        viewer_js=viewer_js(),
        plotly=Markup(get_plotlyjs()),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, page)
    except OSError as error:
        raise Refused(f"--html {path}: cannot write there ({error.strerror})") from None


def samples(comparison: Comparison) -> list[Sample]:
    """Return test items with the answers of every variant's first seed, those on which variants disagree first."""
    rows = [{row["id"]: row for row in variant.runs[0].predictions()} for variant in comparison.variants]
    answer = _ANSWER[comparison.task]
    found = []
    for number in dict.fromkeys(number for by_id in rows for number in by_id):
        some = next(by_id[number] for by_id in rows if number in by_id)
        answers = [by_id[number][answer] if number in by_id else None for by_id in rows]
        given = {key: some[key] for key in _GIVEN if key in some}
        found.append(Sample(given, list(zip(comparison.variants, answers, strict=True))))
    return sorted(found, key=lambda sample: sample.agree)[:_MOST_SAMPLES]


def map_series(comparison: Comparison) -> list[MapSeries]:
    """Return the maps of every variant's first seed."""
    return [
        MapSeries(
            label=variant.title if len(variant.seeds) == 1 else f"{variant.title} (seed {variant.seeds[0]})",
            steps=sorted((load_maps(file) for file in variant.runs[0].map_files()), key=lambda pair: pair[0]),
            color=variant.color,
        )
        for variant in comparison.variants
    ]


def _section(comparison: Comparison) -> dict[str, Any]:
    """Return what the template shows of one task."""
    table = result_table(comparison)
    figures = curve_figures(comparison)
    return {
        "id": comparison.task,
        "table": table,
        "winners": _winners(table),
        "figures": figures,
        "figures_json": script_json(figures),
        "maps_json": script_json(viewer_data(map_series(comparison))),
        "samples": samples(comparison),
        "runs": [_run_facts(variant, run) for variant in comparison.variants for run in variant.runs],
        "config": yaml.safe_dump(comparison.variants[0].runs[0].config.to_dict(), sort_keys=False, allow_unicode=True),
    }


def _winners(table: ResultTable) -> set[tuple[str, str]]:
    return {(row.variant.label, c.key) for row in table.rows for c in table.columns if table.is_best(row, c)}


def _run_facts(variant: Variant, run: Run) -> dict[str, Any]:
    return {
        "title": variant.title,
        "color": variant.color,
        "seed": run.config.seed,
        "folder": _readable(run.path),
        "hash": run.config.hash()[:6],
        "data": run.summary["data"]["fingerprint"][:12],
        "environment": yaml.safe_dump(run.environment(), sort_keys=False, allow_unicode=True),
    }


def _readable(path: Path) -> str:
    """Return ``path`` as a command in the current folder would name it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
