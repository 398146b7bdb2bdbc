"""The page of a comparison as one HTML file that holds all that it shows and asks no network for anything.

Its first screen says which variant is better and whether that is real, in sentences and small pictures, and what it costs.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.page.charts import (
    axis_figures,
    axis_grids,
    curve_figures,
    drawn_variants,
    head_figures,
    is_number,
    length_figures,
    pareto_data,
    profile_figures,
    styles,
    tuning_figures,
)
from attncompare.compare.page.record import BYTES, page_maps, record, samples
from attncompare.compare.table import ResultTable, result_table
from attncompare.compare.verdicts import Verdict, how_tested, in_order, verdicts
from attncompare.errors import Refused
from attncompare.maps.page import content_policy, environment, script_json, viewer_css, viewer_js
from attncompare.record import write_text
from attncompare.tasks.metrics import Metric

_FOLDER = Path(__file__).parent
_MOST_DRAWN = 8  # variants in the curves at first
_MOST_SHOWN = 10  # verdicts before the rest is folded away
_MOST_NAMED = 6  # variants in the headline


def write_report(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write the page to ``path``, whole or not at all; damaged runs, and a place where it cannot be written, are refused."""
    page = report_page(comparisons)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, page)
    except OSError as error:
        raise Refused(f"--html {path}: cannot write there ({error.strerror})") from None


def report_page(comparisons: Sequence[Comparison]) -> str:
    """Return the page as text; a run whose maps, metrics or predictions are damaged is refused."""
    scripts = {"viewer_js": viewer_js(), "page_js": page_js()}
    template = environment(_FOLDER).get_template("page.html.j2")
    sections = [_section(comparison, BYTES // len(comparisons)) for comparison in comparisons]
    css, policy = viewer_css() + page_css(), content_policy(*scripts.values())
    return template.render(sections=sections, css=css, policy=policy, **scripts)


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
    charts = {
        "curves": curve_figures(drawn_variants(comparison), comparison.drawn),
        "heads": head_figures(drawn_variants(comparison)),
        "pareto": pareto_data(comparison, table),
        "profiles": profile_figures(comparison),
        "tuning": tuning_figures(comparison),
        "axis": axis_figures(comparison),
        "lengths": length_figures(comparison),
    }
    budget = comparison.budget
    return {
        "id": comparison.task,
        "styles": styles(comparison),
        "seeds": max(len(variant.runs) for variant in comparison.variants),
        "headline": headline(comparison, found),
        "by_metric": pairs_by_metric(found),
        "table": table,
        "how_tested": how_tested(comparison, found),
        "drawn": _drawn(comparison, table),
        "left_out": comparison.left_out,
        "charts": charts,
        "grids": axis_grids(comparison),
        "darker": "better" if comparison.tested[0].judges else "higher",
        "json": {name: script_json(data) for name, data in charts.items()},
        "maps_json": script_json(maps),
        "maps_note": maps_note,
        "samples": samples(comparison),
        "record": record(comparison),
        "whole_runs": f"From the whole runs, not after {budget.shown} as the table above." if budget else "",
    }


def _drawn(comparison: Comparison, table: ResultTable) -> set[str]:
    """Return the labels of the variants that the pictures show at first: all, or of many the best ones."""
    rows, metric = [row for row in table.rows if row.ranked], comparison.tested[0]
    if len(rows) <= _MOST_DRAWN:
        return {row.variant.label for row in table.rows}
    figures = {row.variant.label: figure for row in rows if is_number(figure := row.values.get(metric.name))}
    ordered = sorted(figures, key=lambda label: figures[label], reverse=metric.higher_is_better)
    return set(ordered[:_MOST_DRAWN])


@dataclass(frozen=True)
class Line:
    """One pair of variants: the verdict, which of the two has the better mean, and its place on the metric's strip.

    ``strip`` holds, in percent of the strip's width, no difference, the mean, and the ends of the interval if there is one:
    to the right of no difference ``ahead`` is better. It is empty where a figure is infinite.
    """

    verdict: Verdict
    ahead: Variant
    strip: tuple[float, ...]

    @property
    def more(self) -> str:
        """Further figures, for who points at it: of the pair alone, not corrected."""
        found, metric = self.verdict.difference, self.verdict.metric
        said = []
        if found.interval_items:
            ends = (metric.format(end) for end in (found.interval_items.low, found.interval_items.high))
            said.append(f"over seeds and test items [{', '.join(ends)}]")
        if found.superiority:
            share, interval = found.superiority
            larger = f"{self.verdict.first.label} has the larger figure in {100 * share:.0f} % of seeds"
            said.append(f"{larger} [{100 * interval.low:.0f}, {100 * interval.high:.0f}]")
        if found.effect_size is not None:
            said.append(f"effect size {found.effect_size:.1f}")
        if found.items:
            said.append(f"p over {found.items.items} test items, of these trained models alone: {found.items.p:.2g}")
        names = f"{self.verdict.first.label} minus {self.verdict.second.label}, this pair alone: "
        return f"{names}{'; '.join(said)}" if said else ""


@dataclass(frozen=True)
class Pairs:
    """All pairs of variants in one metric: the first ones are shown, the rest is folded away."""

    metric: type[Metric]
    shown: tuple[Line, ...]
    folded: tuple[Line, ...]
    decided: int


def headline(comparison: Comparison, found: Sequence[Verdict]) -> str:
    """Return in one or two sentences what the verdicts in the first metric say of all variants together."""
    labels = [variant.label for variant in comparison.ranked if variant.control_of is None]
    first = [verdict for verdict in found if verdict.metric is found[0].metric]
    if not first:
        return "One model alone: there is nothing to compare it with."
    if all(verdict.difference.n < 2 for verdict in first):
        return "One seed decides nothing: which variant is better cannot be said from these runs."
    if len(labels) < 2:
        return "A control: the same model from different seeds."
    metric = first[0].metric
    if comparison.baseline:
        return _beside(comparison.baseline.label, metric, [one for one in first if not one.same_model])
    return _among(labels, metric, first)


def _among(labels: Sequence[str], metric: type[Metric], first: Sequence[Verdict]) -> str:
    """Return which variant is better than all others, or which are worse than another."""
    title, (more, less) = metric.title, metric.words()
    wins = Counter(verdict.better.label for verdict in first if verdict.better)
    beaten = {(one.second if one.better is one.first else one.first).label for one in first if one.better}
    if not beaten:
        return f"No difference in {title} is decided."
    worse, rest = ([label for label in labels if (label in beaten) is lost] for lost in (True, False))
    for best in rest:
        if wins[best] == len(labels) - 1:
            others = "the other variant" if len(labels) == 2 else f"all {len(labels) - 1} others"
            return f"{best} is {more} than {others} in {title}."
    verb, many = "is" if len(worse) == 1 else "are", len(labels) > _MOST_NAMED
    counts = f"{len(worse)} of {len(labels)} are {less} than another, {len(rest)} are {less} than none"
    most = "best" if metric.judges else "highest"
    named = f"{_listed(worse)} {verb} {less} in {title}. Which of {_listed(rest)} is {most} is not decided."
    return f"No single {most} variant in {title}: {counts}." if many else named


def _beside(baseline: str, metric: type[Metric], found: Sequence[Verdict]) -> str:
    """Return which variants are better than the baseline, which worse, and of which that is not decided."""
    more, less = metric.words()
    groups: dict[str, list[str]] = {more: [], less: [], "not decided": []}
    for verdict in found:
        other = verdict.second if verdict.first.label == baseline else verdict.first
        better = more if verdict.better is other else less
        groups[better if verdict.decided else "not decided"].append(other.label)
    many = len(found) > _MOST_NAMED
    told = [f"{what}: {len(labels) if many else _listed(labels)}" for what, labels in groups.items() if labels]
    return f"Compared with {baseline} in {metric.title}, {'; '.join(told)}."


def _listed(labels: Sequence[str]) -> str:
    *most, last = labels
    return f"{', '.join(most)} and {last}" if most else last


def pairs_by_metric(found: Sequence[Verdict]) -> list[Pairs]:
    """Return the verdicts metric by metric, in each the decided ones first."""
    by_metric: dict[str, list[Verdict]] = {}
    for verdict in found:
        by_metric.setdefault(verdict.metric.name, []).append(verdict)
    pairs = []
    for ordered in map(in_order, by_metric.values()):
        ends = [0.0, *(end for verdict in ordered for end in _advantage(verdict) if math.isfinite(end))]
        lines = tuple(_line(verdict, min(ends), max(ends)) for verdict in ordered)
        decided = sum(verdict.decided for verdict in ordered)
        pairs.append(Pairs(ordered[0].metric, lines[:_MOST_SHOWN], lines[_MOST_SHOWN:], decided))
    return pairs


def _advantage(verdict: Verdict) -> list[float]:
    """Return by how much the variant with the larger mean is ahead: the mean, and the interval's ends if there is one."""
    found = verdict.difference
    ends = [found.interval.low, found.interval.high] if found.interval else []
    return [found.mean, *ends] if found.mean >= 0 else [-found.mean, *(-end for end in reversed(ends))]


def _line(verdict: Verdict, low: float, high: float) -> Line:
    """Return a pair's line; ``low`` and ``high`` are the ends of the strip."""
    values, span = (0.0, *_advantage(verdict)), high - low
    drawn = all(map(math.isfinite, (*values, span))) and span > 0
    return Line(verdict, verdict.ahead, tuple(2 + 96 * ((value - low) / span) for value in values) if drawn else ())
