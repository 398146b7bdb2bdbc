"""Training curves as plotly figures, in plain JSON values: for each metric the seeds, their mean and its band."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.page_styles import Style, styles
from attncompare.compare.page_values import padded, shown
from attncompare.compare.statistics.estimates import t_interval
from attncompare.text import METRICS

# Which curves a task gets, in this order.
CURVES = {
    "translation": ("train/loss", "val/loss", "val/bleu", "val/chrf", "val/exact_match"),
    "language_model": ("train/loss", "val/loss", "val/bits_per_byte", "val/token_accuracy"),
}
_SPLITS = {"train": "training", "val": "validation"}
_MOST_POINTS = 600  # of a line; a screen shows no more
_MOST_IN_ALL = 24_000  # points of one picture: a quarter of a megabyte
_FEWEST_SEEDS = 3  # for a band: from two values, 95 % reach over thirteen times their distance

Points = list[tuple[float, float]]


def curve_figures(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a figure (``title``, ``data``, ``layout``) for each metric of the task that any run logged.

    Where the variants cut text into tokens differently, only what does not depend on that is drawn.
    """
    rows = {run.path: run.metrics() for variant in comparison.variants for run in variant.runs}
    most = max(40, min(_MOST_POINTS, _MOST_IN_ALL // len(rows)))
    looks = styles(comparison)
    figures = []
    for column in CURVES[comparison.task]:
        split, name = column.split("/")
        if not comparison.comparable([name]):
            continue
        metric = METRICS[name]
        scale = 100 if metric.unit == "%" else 1
        lines: list[dict[str, Any]] = []
        heights: list[float] = []
        for variant in _drawn_last(comparison):
            seeds = [
                [(row["step"], row[column] * scale) for row in rows[run.path] if column in row] for run in variant.runs
            ]
            seeds = [thin(points, most) for points in seeds if points]
            heights += [value for points in seeds for _, value in points]
            lines += _lines(variant, seeds, looks[variant.label]) if seeds else []
        if lines:
            layout = {"yaxis": {"title": {"text": metric.describe()}, "range": padded(heights)}}
            layout["xaxis"] = {"title": {"text": "training step"}}
            figures.append({"title": f"{_SPLITS[split]} {metric.title}", "data": lines, "layout": layout})
    return figures


def thin(points: Points, most: int = _MOST_POINTS) -> Points:
    """Return at most about ``most`` of ``points``, evenly chosen, the first and the last among them."""
    stride = math.ceil(len(points) / most)
    kept = points[::stride]
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def mean_and_band(seeds: Sequence[Points]) -> tuple[list[float], list[float], list[float] | None]:
    """Return steps, the mean over seeds at each, and half the width of its 95 % t-interval; None below three seeds.

    Only steps count that every seed has, with a finite value.
    """
    tables = [{step: value for step, value in points if math.isfinite(value)} for points in seeds]
    steps = [step for step, _ in seeds[0] if all(step in table for table in tables)]
    columns = [[table[step] for table in tables] for step in steps]
    n = len(seeds)
    means = [math.fsum(value / n for value in values) for values in columns]
    if n < _FEWEST_SEEDS:
        return steps, means, None
    deviations = [_deviation(values, mean) for values, mean in zip(columns, means, strict=True)]
    return steps, means, [t_interval(0.0, deviation, n).high for deviation in deviations]


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.hypot(*(value - mean for value in values)) / math.sqrt(len(values) - 1)


def _drawn_last(comparison: Comparison) -> Iterator[Variant]:
    """Yield the variants; one that is the same model as another comes last, dotted, over it."""
    yield from sorted(comparison.variants, key=lambda one: one.same_as is not None)


def _lines(variant: Variant, seeds: list[Points], style: Style) -> list[dict[str, Any]]:
    """Return the band, the seeds as one thin broken line, and the mean; of one seed only its line."""
    common = {"type": "scatter", "name": variant.title, "legendgroup": variant.label}
    steps, means, halves = mean_and_band(seeds)
    bold = {"color": style.color, "dash": style.dash, "width": 2.2}
    points = "lines" if len(steps) > 12 else "lines+markers"
    mean = {**common, "mode": points, "x": steps, "y": list(map(shown, means)), "line": bold, "marker": {"size": 5}}
    if len(seeds) == 1:
        xs, ys = zip(*seeds[0], strict=True)
        return [{**mean, "x": list(xs), "y": list(map(shown, ys))}]
    quiet = {**common, "mode": "lines", "hoverinfo": "skip"}
    single = {**quiet, "opacity": 0.4, "line": {"color": style.color, "width": 0.8}, **_broken(seeds)}
    return [*_band(quiet, steps, means, halves, style), single, mean]


def _band(
    quiet: dict[str, Any], steps: list[float], means: list[float], halves: list[float] | None, style: Style
) -> list[dict[str, Any]]:
    if not halves or not all(
        math.isfinite(mean) and math.isfinite(half) for mean, half in zip(means, halves, strict=True)
    ):
        return []
    low = [shown(mean - half) for mean, half in zip(means, halves, strict=True)]
    high = [shown(mean + half) for mean, half in zip(means, halves, strict=True)]
    outline = {"x": steps + steps[::-1], "y": high + low[::-1]}
    return [{**quiet, **outline, "fill": "toself", "fillcolor": f"{style.color}2e", "line": {"width": 0}}]


def _broken(seeds: Sequence[Points]) -> dict[str, list[float | None]]:
    """Return all seeds as one line with gaps: a picture of two hundred lines is slow, one of twenty is not."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for points in seeds:
        xs += [*(step for step, _ in points), None]
        ys += [*(shown(value) for _, value in points), None]
    return {"x": xs[:-1], "y": ys[:-1]}
