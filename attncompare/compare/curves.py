"""Training curves as plotly figures, in plain JSON values: one picture for each metric, one line for each run."""

import math
from collections.abc import Iterator
from typing import Any

from attncompare.compare.groups import Comparison, Variant
from attncompare.metric_names import METRICS

# Which curves a task gets, in this order.
CURVES = {
    "translation": ("train/loss", "val/loss", "val/bleu", "val/chrf", "val/exact_match"),
    "language_model": ("train/loss", "val/loss", "val/bits_per_byte", "val/token_accuracy"),
}
_SPLITS = {"train": "training", "val": "validation"}
_DASHES = ("solid", "dash", "dot", "dashdot")  # tell apart what shares a color: more variants than colors
_MOST_POINTS = 600  # of a line; a screen shows no more


def curve_figures(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a figure (``title``, ``data``, ``layout``) for each metric of the task that any run logged."""
    rows = {run.path: run.metrics() for variant in comparison.variants for run in variant.runs}
    figures = []
    for column in CURVES[comparison.task]:
        split, name = column.split("/")
        metric = METRICS[name]
        scale = 100 if metric.unit == "%" else 1
        lines = []
        for variant, style in _styled(comparison):
            for number, run in enumerate(variant.runs):
                points = [(row["step"], row[column] * scale) for row in rows[run.path] if column in row]
                if points:
                    lines.append(_line(variant, number == 0, thin(points), style))
        if lines:
            title = f"{_SPLITS[split]} {metric.title}"
            layout = {"yaxis": {"title": {"text": metric.describe()}}, "xaxis": {"title": {"text": "training step"}}}
            figures.append({"title": title, "data": lines, "layout": layout})
    return figures


def thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most about 600 of ``points``, evenly chosen, the first and the last among them."""
    stride = math.ceil(len(points) / _MOST_POINTS)
    kept = points[::stride]
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _styled(comparison: Comparison) -> Iterator[tuple[Variant, dict[str, Any]]]:
    """Give each variant its color; one that is the same model as another comes last, dotted, over it."""
    used: dict[str, int] = {}
    for variant in sorted(comparison.variants, key=lambda one: one.same_as is not None):
        turn = used.get(variant.color, 0)
        used[variant.color] = turn + 1
        dash = "dot" if variant.same_as else _DASHES[turn % len(_DASHES)]
        yield variant, {"color": variant.color, "dash": dash, "width": 2}


def _line(variant: Variant, first: bool, points: list[tuple[float, float]], style: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines" if len(points) > 12 else "lines+markers",
        "name": variant.title,
        "legendgroup": variant.label,
        "showlegend": first,
        "x": [step for step, _ in points],
        "y": [value if math.isfinite(value) else None for _, value in points],
        "line": style,
        "marker": {"size": 5},
    }
