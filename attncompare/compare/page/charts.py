"""The data of the page's charts: training curves, quality against cost, quality by length. ``page.js`` draws them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from attncompare.compare.groups import Comparison
from attncompare.compare.statistics import RESAMPLES, Items, estimate, read_items, resampled_sums, t_interval
from attncompare.compare.table import Column, ResultTable, Row
from attncompare.record import Run
from attncompare.tasks.metrics import Metric
from attncompare.text import COSTS

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "diamond", "square", "triangle")
_MARKS = ("", "hollow", "striped", "hollow striped")
_SPLITS = {"train": "training", "val": "validation"}
_MOST_POINTS, _FEWEST_POINTS = 600, 40  # of a line; a screen shows no more
_MOST_IN_ALL = 24_000  # points of one chart: a quarter of a megabyte
_FEWEST_SEEDS = 3  # for a band: from two values, 95 % reach over thirteen times their distance
_MOST_BUCKETS = 6
_FEWEST_ITEMS = 25  # in a bucket of lengths: below, its figures say little

Points = list[tuple[float, float]]


# What all charts share.


@dataclass(frozen=True)
class Style:
    """How a variant is drawn: color (``#rrggbb``), dash and symbol in charts, and the class of its swatch."""

    color: str
    dash: str = "solid"
    symbol: str = "circle"
    mark: str = ""


def styles(comparison: Comparison) -> dict[str, Style]:
    """Return the style of each variant by its label; a color that comes again gets another dash, symbol and mark."""
    used: dict[str, int] = {}
    found = {}
    for variant in comparison.variants:
        turn = used.get(variant.color, 0) % len(_DASHES)
        used[variant.color] = used.get(variant.color, 0) + 1
        dash = "dot" if variant.same_as else _DASHES[turn]
        found[variant.label] = Style(variant.color, dash, _SYMBOLS[turn], _MARKS[turn])
    return found


def is_number(value: float | None) -> TypeGuard[float]:
    """Return whether there is a finite value."""
    return value is not None and math.isfinite(value)


def shown(value: float | None) -> float | None:
    """Return ``value`` to five digits, or None where there is none or it is not finite: JSON has no NaN."""
    if not is_number(value):
        return None
    rounded = float(f"{value:.5g}")
    return rounded if math.isfinite(rounded) else value  # the very largest would be rounded to infinity


def padded(values: Sequence[float], share: float = 0.05) -> list[float] | None:
    """Return the range of an axis that holds all finite ``values`` with a margin; None where there is no such range."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    margin = (high - low) * share or abs(high) * share or 1.0
    ends = [low - margin, high + margin]
    return ends if all(map(math.isfinite, (*ends, ends[1] - ends[0]))) else None


# Training curves.


@dataclass(frozen=True)
class Drawn:
    """Runs that share one mean curve: the seeds of a variant, or a single run."""

    label: str
    title: str
    style: Style
    runs: Sequence[Run]


def drawn_variants(comparison: Comparison) -> list[Drawn]:
    """Return the variants as they are drawn; one that is the same model as another comes last, dotted, over it."""
    ordered = sorted(comparison.variants, key=lambda one: one.same_as is not None)
    return [Drawn(one.label, one.title, styles(comparison)[one.label], one.runs) for one in ordered]


def curve_figures(drawn: Sequence[Drawn], metrics: Sequence[type[Metric]]) -> list[dict[str, Any]]:
    """Return a chart for each metric that any run logged, of training before validation, as JSON values.

    Each has a ``title``, the ``unit`` of its axis, a ``range``, and ``lines``: ``x`` and ``y`` of the mean over seeds,
    ``half`` the width of its 95 % t-interval from three seeds on, and the ``seeds`` themselves where there are several.
    """
    rows = {run.path: run.metrics() for one in drawn for run in one.runs}
    most = max(_FEWEST_POINTS, min(_MOST_POINTS, _MOST_IN_ALL // max(len(rows), 1)))
    figures = []
    for split, metric in ((split, metric) for split in _SPLITS for metric in metrics):
        column, scale = f"{split}/{metric.name}", metric.scale()
        lines, heights = [], []
        for one in drawn:
            seeds = [
                [(row["step"], row[column] * scale) for row in rows[run.path] if column in row] for run in one.runs
            ]
            seeds = [thin(points, most) for points in seeds if points]
            heights += [value for points in seeds for _, value in points]
            if seeds:
                lines.append({"label": one.label, "title": one.title, **vars(one.style), **_line(seeds)})
        if lines:
            title = f"{_SPLITS[split]} {metric.title}"
            figures.append({"title": title, "unit": metric.describe(), "range": padded(heights), "lines": lines})
    return figures


def thin(points: Points, most: int = _MOST_POINTS) -> Points:
    """Return at most ``most`` and one of ``points``, evenly chosen, the first and the last among them."""
    chosen = points[:: math.ceil(len(points) / most)]
    return chosen if chosen[-1] == points[-1] else [*chosen, points[-1]]


def mean_and_band(seeds: Sequence[Points]) -> tuple[list[float], list[float], list[float] | None]:
    """Return steps, the mean over seeds at each, and half the width of its 95 % t-interval; None below three seeds.

    Only steps count that every seed has, with a finite value.
    """
    tables = [{step: value for step, value in points if math.isfinite(value)} for points in seeds]
    steps = [step for step, _ in seeds[0] if all(step in table for table in tables)]
    columns, n = [[table[step] for table in tables] for step in steps], len(seeds)
    means = [math.fsum(value / n for value in values) for values in columns]
    if n < _FEWEST_SEEDS:
        return steps, means, None
    deviations = [
        math.hypot(*(value - mean for value in values)) / math.sqrt(n - 1)
        for values, mean in zip(columns, means, strict=True)
    ]
    return steps, means, [t_interval(0.0, deviation, n).high for deviation in deviations]


def _line(seeds: list[Points]) -> dict[str, Any]:
    single = [{"x": [step for step, _ in points], "y": [shown(value) for _, value in points]} for points in seeds]
    if len(seeds) == 1:
        return {**single[0], "half": None, "seeds": []}
    steps, means, halves = mean_and_band(seeds)
    half = list(map(shown, halves)) if halves and all(map(math.isfinite, (*halves, *means))) else None
    return {"x": steps, "y": list(map(shown, means)), "half": half, "seeds": single}


# Quality against cost.


def pareto_data(comparison: Comparison, table: ResultTable) -> dict[str, Any] | None:
    """Return the axes that every row has, the rows' places on them, and for each pair of axes the front.

    The cost in which the rows differ most comes first. None: there are fewer than two rows, or no such axes.
    """
    rows = [row for row in table.rows if row.ranked]
    axes = {name: one for name, one in table.columns.items() if all(is_number(row.values[name]) for row in rows)}
    qualities, costs = ([name for name in axes if (name in COSTS) is cost] for cost in (False, True))
    if len(rows) < 2 or not qualities or not costs:
        return None
    values = {name: [row.values[name] or 0.0 for row in rows] for name in axes}
    costs.sort(key=lambda name: -max(values[name]) / min(values[name]) if min(values[name]) > 0 else 0.0)
    better = {name: [value * (1 if axes[name].higher_is_better else -1) for value in values[name]] for name in axes}
    points = {name: [_point(row, name, column) for row in rows] for name, column in axes.items()}
    drawn = styles(comparison)
    return {
        "note": "",  # page.js names the front
        "qualities": [_axis(name, axes[name], points[name]) for name in qualities],
        "costs": [_axis(name, axes[name], points[name]) for name in costs],
        "fronts": {f"{q}|{c}": front(list(zip(better[q], better[c], strict=True))) for q in qualities for c in costs},
        "points": [
            {
                "label": row.variant.label,
                **vars(drawn[row.variant.label]),
                "at": {name: points[name][place] for name in axes},
            }
            for place, row in enumerate(rows)
        ],
    }


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the places of the points that no other one beats: at least as good in both, better in one.

    Args:
        points: quality and cost of each, both the higher the better; the cheapest comes first.
    """

    def beaten(q: float, c: float) -> bool:
        return any(oq >= q and oc >= c and (oq, oc) != (q, c) for oq, oc in points)

    best = [place for place, point in enumerate(points) if not beaten(*point)]
    return sorted(best, key=lambda place: (-points[place][1], points[place][0]))


def _axis(name: str, column: Column, points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    reach = [value for point in points for value in point["around"] or [point["value"]] if value is not None]
    return {
        "key": name,
        "title": column.title,
        "text": column.describe(),
        "better": "more" if column.higher_is_better else "less",
        "range": padded([max(0.0, value) for value in reach], 0.12),  # no figure can be negative
    }


def _point(row: Row, name: str, column: Column) -> dict[str, Any]:
    """Return a row's value on one axis with its interval over seeds, and as people read it; shares in percent."""
    scale, found = 100.0 if column.unit == "%" else 1.0, row.estimates.get(name)
    ends = (
        [shown(scale * end) for end in (found.interval.low, found.interval.high)]
        if found and found.interval
        else [None]
    )
    value = shown(scale * (row.values[name] or 0.0))
    return {"value": value, "around": None if None in ends else ends, "text": column.format(row.values[name])}


# Quality by length.


def length_data(comparison: Comparison) -> dict[str, Any] | None:
    """Return the charts of all figures by length of the test items; None where the records do not hold what it takes.

    Items are cut into buckets by the words of their source, or by the text that they hold. Only metrics are shown that
    mean the same for all variants, and for which every run has the sums of the same test items. At an equal budget there
    are none: items were tested at the end of each run.
    """
    if comparison.budget is not None:
        return None
    runs = [run for variant in comparison.ranked for run in variant.runs]
    rows = {run.path: run.items() for run in runs}
    whole: dict[type[Metric], dict[Any, Items]] = {}
    for metric in comparison.drawn:
        found = {path: read_items(metric, own) for path, own in rows.items()}
        items = {path: one for path, one in found.items() if one is not None}
        if len(items) == len(found):
            whole[metric] = items
    unit, lengths = _lengths(runs[0], [items[runs[0].path] for items in whole.values()])
    buckets = cut(lengths)
    if buckets is None:
        return None
    charts = [
        _by_length(comparison, metric, items, list(buckets.values()))
        for metric, items in whole.items()
        if all(set(one.ids) == lengths.keys() for one in items.values())
    ]
    if not charts:
        return None
    several = max(len(variant.runs) for variant in comparison.ranked) > 1
    over = "over seeds" if several else f"over resampled items ({RESAMPLES} times)"
    return {
        "unit": unit,
        "labels": list(buckets),
        "counts": list(map(len, buckets.values())),
        "charts": charts,
        "note": f"Test items by {unit}, at least {_FEWEST_ITEMS} in a bucket. Bars: 95 % interval {over}.",
    }


def cut(lengths: Mapping[int, int]) -> dict[str, frozenset[int]] | None:
    """Return up to six buckets of about as many items, at least 25 in each, by names such as "4–6".

    None where there are too few items for two.
    """
    values = np.sort(np.fromiter(lengths.values(), dtype=np.int64, count=len(lengths)))
    wanted = min(_MOST_BUCKETS, len(values) // _FEWEST_ITEMS)
    starts: list[int] = []
    for start in sorted({int(values[len(values) * place // wanted]) for place in range(wanted)}):
        # A bucket reaches to the next start, so its size is known once that is chosen.
        if not starts or np.count_nonzero((values >= starts[-1]) & (values < start)) >= _FEWEST_ITEMS:
            starts.append(start)
    if len(starts) > 1 and np.count_nonzero(values >= starts[-1]) < _FEWEST_ITEMS:
        starts.pop()
    if len(starts) < 2:
        return None
    buckets = {}
    for low, end in zip(starts, [*starts[1:], int(values[-1]) + 1], strict=True):
        ids = [one for one, length in lengths.items() if low <= length < end]
        first, last = (choose(lengths[one] for one in ids) for choose in (min, max))
        buckets[str(first) if first == last else f"{first}–{last}"] = frozenset(ids)
    return buckets


def _lengths(run: Run, metrics: Sequence[Items]) -> tuple[str, dict[int, int]]:
    """Return the unit of length and each item's: words of the source where most have several, else its characters.

    Without sources it is the text that the items hold, in bytes or tokens.
    """
    rows = run.predictions()
    if rows and all(type(row.get("id")) is int and isinstance(row.get("source"), str) for row in rows):
        words = {row["id"]: len(row["source"].split()) for row in rows}
        if sum(count > 1 for count in words.values()) * 2 > len(words):
            return "words of the source", words
        return "characters of the source", {row["id"]: len(row["source"]) for row in rows}
    for unit in ("bytes", "tokens"):
        for items in metrics:
            if unit in items.metric.sums:
                column = items.sums_NF[:, items.metric.sums.index(unit)].astype(int).tolist()
                return f"{unit} of the text", dict(zip(items.ids, column, strict=True))
    return "", {}


def _by_length(
    comparison: Comparison, metric: type[Metric], items: Mapping[Any, Items], buckets: Sequence[frozenset[int]]
) -> dict[str, Any]:
    found, scale = styles(comparison), metric.scale()
    lines: list[dict[str, Any]] = []
    for variant in comparison.ranked:
        ends = [_over_seeds([items[run.path].only(ids) for run in variant.runs]) for ids in buckets]
        mean, low, high = (
            [shown(None if e is None else scale * e) for e in column] for column in zip(*ends, strict=True)
        )
        lines.append({"label": variant.label, **vars(found[variant.label]), "mean": mean, "low": low, "high": high})
    reach = [end for line in lines for name in ("mean", "low", "high") for end in line[name] if end is not None]
    # No figure can be negative, though the interval of a few seeds may reach there.
    axis = padded([max(0.0, end) for end in reach])
    return {"key": metric.name, "title": metric.title, "unit": metric.describe(), "range": axis, "lines": lines}


def _over_seeds(seeds: Sequence[Items]) -> tuple[float, float | None, float | None]:
    """Return a bucket's figure with its interval: over the seeds, or of one seed over resampled items."""
    if len(seeds) == 1:
        low, high = np.nanquantile(seeds[0].value(resampled_sums(seeds[0].sums_NF)), (0.025, 0.975))
        return seeds[0].figure, float(low), float(high)
    over = estimate([one.figure for one in seeds])
    return over.mean, *((over.interval.low, over.interval.high) if over.interval else (None, None))
