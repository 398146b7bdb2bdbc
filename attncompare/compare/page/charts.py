"""The data of the page's charts: training curves, figures along an axis, quality against cost. ``page.js`` draws them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, TypeGuard

from attncompare.compare.axes import Axis
from attncompare.compare.costs import apart, cost_figures
from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.identity import labels
from attncompare.compare.lengths import by_length
from attncompare.compare.statistics import Estimate, t_interval
from attncompare.compare.table import Column, ResultTable, Row
from attncompare.compare.verdicts import estimates, verdicts
from attncompare.maps import variant_colors
from attncompare.maps.heads import NUMBERS, site_title
from attncompare.record import Run
from attncompare.record.run import HEAD_KEY
from attncompare.tasks.metrics import Metric
from attncompare.tasks.metrics import metric as metric_named
from attncompare.text import COSTS

_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "diamond", "square", "triangle")
_SPLITS = {"train": "training", "val": "validation"}
_MOST_POINTS, _FEWEST_POINTS = 600, 40  # of a line; a screen shows no more
_MOST_IN_ALL = 24_000  # points of one chart: a quarter of a megabyte
_FEWEST_OF_HEADS = 8  # points of the line of a head
_FEWEST_SEEDS = 3  # for a band: from two values, 95 % reach over thirteen times their distance

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Style:
    """How a variant is drawn: color (``#rrggbb``), and dash and symbol in charts."""

    color: str
    dash: str = "solid"
    symbol: str = "circle"


def styles(comparison: Comparison) -> dict[str, Style]:
    """Return the style of each variant by its label; one that is the same model as another is dotted."""
    found = styles_of({variant.label: variant.color for variant in comparison.variants})
    dotted = [variant.label for variant in comparison.variants if variant.same_as]
    return found | {label: replace(found[label], dash="dot") for label in dotted}


def styles_of(colors: Mapping[str, str]) -> dict[str, Style]:
    """Return the style of each label, given with its color; a color that comes again gets another dash and symbol."""
    turns: Counter[str] = Counter()
    found = {}
    for label, color in colors.items():
        turn, again = turns[color], turns[color] // len(_DASHES)
        found[label] = Style(color, _DASHES[turn % len(_DASHES)], _SYMBOLS[(turn + again) % len(_SYMBOLS)])
        turns[color] += 1
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

    Each has a ``title``, the ``unit`` and ``range`` of its axis, what stands at ``x`` and the ``least`` width of that axis,
    and ``lines``: ``x`` and ``y`` of the mean over seeds, ``half`` the width of its 95 % t-interval from three seeds on,
    and the ``seeds`` themselves where there are several.
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
            figures.append(_figure(title, metric.describe(), padded(heights), lines, x="training step"))
    return figures


def head_figures(drawn: Sequence[Drawn]) -> list[dict[str, Any]]:
    """Return a chart of each number of heads at each site, as :func:`curve_figures` does, from before training on.

    A line is the mean over heads, layers and seeds; in place of the single seeds stand the single heads of the first seed,
    unless they are too many.
    """
    found = {run.path: heads_of(run) for one in drawn for run in one.runs}
    places = dict.fromkeys(place for own in found.values() for place in own)
    count = sum(1 + len(heads) for one in drawn for heads in found[one.runs[0].path].values())
    most, single = max(_FEWEST_OF_HEADS, _MOST_IN_ALL // max(count, 1)), count <= _MOST_IN_ALL // _FEWEST_OF_HEADS
    figures, sites = [], dict.fromkeys(site for site, _ in places)
    for site, name in ((site, name) for site in sites for name in NUMBERS if (site, name) in places):
        number, lines, heights = NUMBERS[name], [], []
        scale = 100.0 if number.unit == "%" else 1.0
        for one in drawn:
            seeds = [found[run.path][site, name] for run in one.runs if (site, name) in found[run.path]]
            seeds = [[[(step, scale * y) for step, y in head] for head in heads] for heads in seeds]
            means = [thin(mean, most) for mean in map(_mean, seeds) if mean]
            if not means:
                continue
            line = _line(means)
            heads = [thin(head, most) for head in seeds[0]] if single and len(seeds[0]) > 1 else []
            line["seeds"] = [{"x": [step for step, _ in head], "y": [shown(y) for _, y in head]} for head in heads]
            heights += [y for each in (line, *line["seeds"]) for y in each["y"] if y is not None]
            lines.append({"label": one.label, "title": one.title, **vars(one.style), **line})
        title = f"{number.title} in {site_title(site)}"
        unit = f"{number.title} ({number.unit})" if number.unit else number.title
        figures.append(_figure(title, unit, padded(heights), lines, x="training step"))
    return figures


def _mean(heads: Sequence[Points]) -> Points:
    """Return the mean over heads at each step, of those that have a finite value there."""
    found: dict[float, list[float]] = {}
    for step, value in (point for head in heads for point in head if math.isfinite(point[1])):
        found.setdefault(step, []).append(value)
    return [(step, fmean(values)) for step, values in sorted(found.items())]


def heads_of(run: Run) -> dict[tuple[str, str], list[Points]]:
    """Return by site and number what each head had at each step."""
    found: dict[tuple[str, str], dict[str, Points]] = {}
    for row in run.heads():
        for key, value in row.items():
            if match := HEAD_KEY.fullmatch(key):
                site, layer, head, name = match.groups()
                found.setdefault((site, name), {}).setdefault(f"{layer}.{head}", []).append((row["step"], value))
    return {place: list(heads.values()) for place, heads in found.items() if place[1] in NUMBERS}


def _figure(
    title: str, unit: str, reach: list[float] | None, lines: list[dict[str, Any]], x: str, least: float = 1.0
) -> dict[str, Any]:
    return {"title": title, "unit": unit, "range": reach, "x": x, "least": least, "lines": lines}


def profile_figures(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a performance profile (Dolan and Moré 2002; Agarwal et al. 2021) for each metric of which there are seeds.

    The line of a variant gives for each value the share of its seeds that are at least as good; a diverged one never is.
    """
    figures = []
    for metric in comparison.drawn:
        lines = []
        for one in drawn_variants(comparison):
            variant = next(other for other in comparison.variants if other.label == one.label)
            reached = [metric.scale() * figure for figure in comparison.figures(variant, metric.name).values()]
            reached = sorted(filter(math.isfinite, reached), reverse=metric.higher_is_better)
            if len(variant.all_seeds) > 1 and reached:
                xs = [figure for figure in reached for _ in range(2)]
                ys = [count / len(variant.all_seeds) for place in range(len(reached)) for count in (place, place + 1)]
                line = {"x": list(map(shown, xs)), "y": list(map(shown, ys)), "half": None, "seeds": []}
                lines.append({"label": one.label, "title": one.title, **vars(one.style), **line})
        if lines:
            title = f"share of seeds with at least this {metric.title}"
            title = title if metric.higher_is_better else title.replace("least", "most")
            figures.append(_figure(title, "share of seeds", [0.0, 1.05], lines, x=metric.describe(), least=1e-9))
    return figures


def tuning_figures(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the expected best of what each variant was picked by after 1, 2, … of its values (Dodge et al. 2019, section 3)."""
    lines, heights = [], []
    monitor = metric_named(comparison.variants[0].runs[0].config.trainer.monitor)
    sign = -1 if monitor.higher_is_better else 1
    for one in drawn_variants(comparison):
        tried = comparison.tuned.get(one.runs[0].path, ())
        losses = [sign * monitor.scale() * value for value in tried if math.isfinite(value)]
        if len(losses) > 1:
            expected = [sign * value for value in expected_best(losses)]
            heights += expected
            line = {"x": list(range(1, len(losses) + 1)), "y": list(map(shown, expected)), "half": None, "seeds": []}
            lines.append({"label": one.label, "title": one.title, **vars(one.style), **line})
    what = f"expected best val {monitor.describe()}"
    return [_figure(what, what, padded(heights), lines, x="values of the grid that were tried")] if lines else []


def expected_best(losses: Sequence[float]) -> list[float]:
    """Return the expected lowest of k = 1 .. n draws from n ``losses``, with replacement (Dodge et al. 2019, equation 4)."""
    ordered, n = sorted(losses), len(losses)
    return [
        sum(loss * (((n - place) / n) ** k - ((n - place - 1) / n) ** k) for place, loss in enumerate(ordered))
        for k in range(1, n + 1)
    ]


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


# Figures along numbers that were varied, such as heads or a window.

_LOG = 20  # an axis from whose smallest to whose largest value there is such a factor is logarithmic


def axis_figures(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a chart for each metric of all variants along the one axis of numbers; none where there are more, or none.

    Each is as a training curve, with ``ticks`` at the values as [place, text] and in its lines the interval ``around`` each
    mean; a line is a variant but for the axis.
    """
    numeric = [axis for axis in comparison.axes if axis.numeric]
    if len(numeric) != 1:
        return []
    axis, figures, over_seeds = numeric[0], [], estimates(comparison)
    values = axis.distinct
    log = values[0] > 0 and values[-1] / values[0] >= _LOG
    ticks = {value: math.log10(value) if log else value for value in values}
    along = _along(comparison, (axis,))
    drawn = styles_of(variant_colors(along))
    for metric in comparison.drawn:
        lines, heights = [], []
        for label, places in along.items():
            found = {
                value: over_seeds[variant.label, metric.name]
                for (value,), variant in sorted(places.items(), key=lambda pair: pair[0])
                if (variant.label, metric.name) in over_seeds
            }
            line, reached = _means({ticks[value]: one for value, one in found.items()}, metric)
            heights += reached
            if reached:
                lines.append({"label": label, "title": label, **vars(drawn[label]), **line})
        if lines:
            figure = _figure(metric.title, metric.describe(), padded(heights), lines, x=axis.key, least=1e-9)
            figures.append(figure | {"ticks": [[place, f"{value:g}"] for value, place in ticks.items()]})
    return figures


def length_figures(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a chart for each metric by length of the source, as :func:`axis_figures` does along an axis."""
    found, figures = by_length(comparison), []
    for metric in comparison.drawn:
        lines, heights = [], []
        for one in drawn_variants(comparison):
            of_bins = found.estimates.get((one.label, metric.name), ())
            line, reached = _means({each.middle: own for each, own in zip(found.bins, of_bins, strict=False)}, metric)
            heights += reached
            if reached:
                lines.append({"label": one.label, "title": one.title, **vars(one.style), **line})
        if lines:
            x = f"source length ({found.unit})"
            figure = _figure(metric.title, metric.describe(), padded(heights), lines, x=x, least=1e-9)
            figures.append(figure | {"ticks": [[each.middle, each.text] for each in found.bins]})
    return figures


def _means(found: Mapping[float, Estimate], metric: type[Metric]) -> tuple[dict[str, Any], list[float]]:
    """Return finite means by place as a line with the intervals around them, and all heights that it reaches."""
    means = {place: metric.scale() * one.mean for place, one in found.items() if math.isfinite(one.mean)}
    ends = [
        [metric.scale() * end for end in (one.interval.low, one.interval.high)] if one.interval else None
        for place, one in found.items()
        if place in means
    ]
    around = [[shown(end) for end in both] if both else None for both in ends]
    heights = [*means.values(), *(end for both in ends if both for end in both)]
    return {"x": list(means), "y": list(map(shown, means.values())), "around": around}, heights


@dataclass(frozen=True)
class Cell:
    """A mean of one variant in a grid as people read it, with its interval, and from 0 to 1 how good it is there.

    ``share`` is None where the mean is not finite, or all means are the same.
    """

    text: str
    interval: str
    share: float | None


@dataclass(frozen=True)
class Grid:
    """The means of one metric over two axes of numbers: ``cells`` by row and column, None where there is no variant."""

    title: str
    rows: Axis
    columns: Axis
    cells: tuple[tuple[Cell | None, ...], ...]


def axis_grids(comparison: Comparison) -> list[Grid]:
    """Return for each metric and variant a grid over the two axes of numbers; none where there are more, or fewer."""
    numeric = [axis for axis in comparison.axes if axis.numeric]
    if len(numeric) != 2:
        return []
    rows, columns = numeric
    over_seeds, grids = estimates(comparison), []
    along = _along(comparison, (rows, columns))
    for metric in comparison.drawn:
        means = [one.mean for (_, name), one in over_seeds.items() if name == metric.name and math.isfinite(one.mean)]
        low, span = min(means, default=0.0), max(means, default=0.0) - min(means, default=0.0)

        def cell(
            variant: Variant | None, metric: type[Metric] = metric, low: float = low, span: float = span
        ) -> Cell | None:
            one = over_seeds.get((variant.label, metric.name)) if variant else None
            if one is None:
                return None
            share = (one.mean - low) / span if span > 0 and math.isfinite(one.mean) else None
            ends = (metric.format(one.interval.low), metric.format(one.interval.high)) if one.interval else ()
            interval = f"[{', '.join(ends)}]" if ends else ""
            return Cell(
                metric.format(one.mean), interval, share if share is None or metric.higher_is_better else 1 - share
            )

        for label, places in along.items():
            cells = tuple(
                tuple(cell(places.get((row, column))) for column in columns.distinct) for row in rows.distinct
            )
            title = f"{metric.describe()}: {label}" if len(along) > 1 else metric.describe()
            grids.append(Grid(title, rows, columns, cells))
    return grids


def _along(comparison: Comparison, axes: Sequence[Axis]) -> dict[str, dict[tuple[Any, ...], Variant]]:
    """Return the variants by what they are called without the values of ``axes``, and by these."""
    keys = [axis.key for axis in axes]
    names = labels([variant.runs[0] for variant in comparison.variants], hidden=(*comparison.options.hidden, *keys))
    places = zip(*(axis.values for axis in axes), strict=True)
    found: dict[str, dict[tuple[Any, ...], Variant]] = {}
    for name, place, variant in zip(names, places, comparison.variants, strict=True):
        found.setdefault(name, {})[place] = variant
    return found


# Quality against cost.


def pareto_data(comparison: Comparison, table: ResultTable) -> dict[str, Any] | None:
    """Return the axes that every row has, the rows' places on them, and for each pair of axes the front.

    The cost in which the rows differ most comes first. None: there are fewer than two rows, or no such axes.
    """
    rows = [row for row in table.rows if row.ranked]
    axes = {name: one for name, one in table.columns.items() if all(is_number(row.values[name]) for row in rows)}
    qualities, costs = ([name for name in axes if (name in COSTS) is cost] for cost in (False, True))
    qualities = [name for name in qualities if comparison.metrics[name].judges]
    if len(rows) < 2 or not qualities or not costs:
        return None
    values = {name: [row.values[name] or 0.0 for row in rows] for name in axes}
    costs.sort(key=lambda name: -max(values[name]) / min(values[name]) if min(values[name]) > 0 else 0.0)
    rows_apart = {name: _better(comparison, rows, name) for name in (*qualities, *costs)}
    points = {name: [_point(row, name, column) for row in rows] for name, column in axes.items()}
    drawn = styles(comparison)
    return {
        "qualities": [_axis(name, axes[name], points[name]) for name in qualities],
        "costs": [_axis(name, axes[name], points[name]) for name in costs],
        "fronts": {f"{q}|{c}": front(rows_apart[q], rows_apart[c]) for q in qualities for c in costs},
        "points": [
            {
                "label": row.variant.label,
                **vars(drawn[row.variant.label]),
                "at": {name: points[name][place] for name in axes},
            }
            for place, row in enumerate(rows)
        ],
    }


Better = Sequence[Sequence[bool]]  # whether a row is better than another one beyond the noise


def front(quality: Better, cost: Better) -> list[int]:
    """Return the places that no other one beats: better in one beyond the noise, and not worse in the other.

    Empty where none is beaten: then noise is all there is to see.
    """
    places = range(len(quality))

    def beats(one: int, other: int) -> bool:
        better = quality[one][other] or cost[one][other]
        return better and not quality[other][one] and not cost[other][one]

    best = [place for place in places if not any(beats(other, place) for other in places)]
    return best if len(best) < len(quality) else []


def _better(comparison: Comparison, rows: Sequence[Row], name: str) -> Better:
    """Return which row is better than which in one column: by a verdict, or of costs beyond their noise."""
    labels = [row.variant.label for row in rows]
    if name in COSTS:
        figures, cost = [cost_figures(comparison, row.variant, name) for row in rows], COSTS[name]
        sign = 1 if cost.higher_is_better else -1
        return [
            [apart(one, other, cost) and sign * (fmean(one) - fmean(other)) > 0 for other in figures] for one in figures
        ]
    won = {
        (one.better.label, (one.second if one.better is one.first else one.first).label)
        for one in verdicts(comparison)
        if one.better and one.metric.name == name
    }
    return [[(label, other) in won for other in labels] for label in labels]


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
