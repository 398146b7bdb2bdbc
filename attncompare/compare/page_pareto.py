"""Quality against cost: the variants that no other beats in both form the front."""

from collections.abc import Sequence
from typing import Any

from attncompare.compare.groups import Comparison
from attncompare.compare.page_styles import styles
from attncompare.compare.page_values import is_number, padded, shown
from attncompare.compare.table import ResultTable, Row
from attncompare.text import COSTS, METRICS, Metric


def pareto_data(comparison: Comparison, table: ResultTable) -> dict[str, Any] | None:
    """Return what the picture shows: the points, and each pair of axes with its front; None for fewer than two rows.

    ``axes`` holds the qualities and costs that every row has; the cost in which the rows differ most comes first.
    """
    rows = [row for row in table.rows if row.ranked]
    complete = [column for column in table.columns if all(is_number(row.values[column.key]) for row in rows)]
    qualities = [column for column in complete if column.key in METRICS]
    costs = [column for column in complete if column.key in COSTS]
    if len(rows) < 2 or not qualities or not costs:
        return None
    costs.sort(key=lambda cost: -_spread(rows, cost.key))
    looks = styles(comparison)
    names = {cost.key: cost for cost in costs} | {quality.key: quality for quality in qualities}
    return {
        "qualities": [_axis(quality, rows) for quality in qualities],
        "costs": [_axis(cost, rows) for cost in costs],
        "fronts": {f"{q.key}|{c.key}": front(rows, q, c) for q in qualities for c in costs},
        "points": [
            {
                "label": row.variant.label,
                "color": looks[row.variant.label].color,
                "symbol": looks[row.variant.label].symbol,
                "at": {key: _point(row, metric) for key, metric in names.items()},
            }
            for row in rows
        ],
    }


def front(rows: Sequence[Row], quality: Metric, cost: Metric) -> list[int]:
    """Return the places of the rows that no other row beats: at least as good in both, better in one. Cheapest first."""

    def figures(row: Row) -> tuple[float, float]:
        value, price = row.values[quality.key], row.values[cost.key]
        assert value is not None and price is not None
        return (value if quality.higher_is_better else -value), (price if cost.higher_is_better else -price)

    at = [figures(row) for row in rows]
    kept = [i for i, (q, c) in enumerate(at) if not any(oq >= q and oc >= c and (oq, oc) != (q, c) for oq, oc in at)]
    return sorted(kept, key=lambda i: (-at[i][1], at[i][0]))


def _spread(rows: Sequence[Row], key: str) -> float:
    values = [abs(row.values[key] or 0.0) for row in rows]
    return max(values) / min(values) if min(values) > 0 else 0.0


def _scale(metric: Metric) -> int:
    return 100 if metric.unit == "%" else 1


def _axis(metric: Metric, rows: Sequence[Row]) -> dict[str, Any]:
    reach = [value for row in rows for point in [_point(row, metric)] for value in point["around"] or [point["value"]]]
    return {
        "key": metric.key,
        "title": metric.title,
        "text": metric.describe(),
        "better": "more" if metric.higher_is_better else "less",
        "range": padded([max(0.0, value) for value in reach if value is not None], 0.12),  # none can be negative
    }


def _point(row: Row, metric: Metric) -> dict[str, Any]:
    """Return a row's value in one axis with its interval over seeds, and both as people read them."""
    value, estimate = row.values[metric.key], row.estimates.get(metric.key)
    interval = estimate.interval if estimate else None
    ends = [shown(_scale(metric) * end) for end in (interval.low, interval.high)] if interval else None
    assert value is not None
    return {
        "value": shown(_scale(metric) * value),
        "around": None if ends is None or None in ends else ends,
        "text": metric.format(value),
    }
