"""The curves of runs, finished or not, as data for plotly: one picture for each metric, one line for each run."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from attncompare.maps import series_color
from attncompare.text import METRICS, TABLE_METRICS, TASK_TITLES, Metric

if TYPE_CHECKING:
    from attncompare.dashboard.look import Look

_SPLITS = {"train": "training", "val": "validation"}
_MOST, _FEWEST, _IN_ALL = 400, 40, 30_000  # points of a line, and of all lines of a picture together

Lines = dict[str, list[tuple[float, float]]]
T = TypeVar("T")


def lines_of(rows: list[dict[str, float]], task: str) -> Lines:
    """Return the curves of one run: the points of each column that its task shows, if it was logged."""
    found: Lines = {}
    for column in _columns(task):
        scale = 100 if _metric(column).unit == "%" else 1
        points = [(row["step"], row[column] * scale) for row in rows if column in row]
        if points:
            found[column] = thinned(points, _MOST)
    return found


def curves(looks: "Sequence[Look]", labels: Sequence[str], colors: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return for each task among ``looks`` its ``title`` and ``figures``; a figure has ``title``, ``unit``, ``lines``.

    Args:
        looks: runs; damaged ones have no curves.
        labels: what each is called.
        colors: of each variant, as in the table beside.
    """
    most = max(_FEWEST, min(_MOST, _IN_ALL // max(len(looks), 1)))
    tasks = []
    for task in TASK_TITLES:
        figures = []
        for column in _columns(task):
            lines = [
                {"name": label, "color": colors[look.variant], **_axes(thinned(look.lines[column], most))}
                for look, label in zip(looks, labels, strict=True)
                if look.task == task and column in look.lines
            ]
            if lines:
                title = f"{_SPLITS[column.split('/')[0]]} {_metric(column).title}"
                figures.append({"title": title, "unit": _metric(column).describe(), "lines": lines})
        if figures:
            tasks.append({"title": TASK_TITLES[task], "figures": figures})
    return tasks


def variant_colors(looks: "Sequence[Look]") -> dict[str, str]:
    """Return the color of each variant, by the order in which they appear."""
    return {variant: series_color(index) for index, variant in enumerate(dict.fromkeys(look.variant for look in looks))}


def thinned(values: Sequence[T], most: int) -> list[T]:
    """Return at most ``most`` and one of ``values``, evenly chosen, the first and the last among them."""
    kept = list(values[:: math.ceil(len(values) / most) or 1])
    return kept if not kept or kept[-1] == values[-1] else [*kept, values[-1]]


def _columns(task: str) -> list[str]:
    """Return what is drawn of a task, the loss first."""
    rest = [key for key in TABLE_METRICS[task] if key != "loss"]
    return ["train/loss", "val/loss", *(f"val/{key}" for key in rest)]


def _metric(column: str) -> Metric:
    return METRICS[column.split("/")[1]]


def _axes(points: Sequence[tuple[float, float]]) -> dict[str, list[float | None]]:
    return {"x": [x for x, _ in points], "y": [y if math.isfinite(y) else None for _, y in points]}
