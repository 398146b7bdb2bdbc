"""The first screen: which variant is better, whether that is real, and what it costs, in sentences and small pictures."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.page.charts import is_number
from attncompare.compare.table import Column, ResultTable, Row
from attncompare.compare.verdicts import Verdict, in_order
from attncompare.tasks.metrics import Metric
from attncompare.text import COSTS

_MOST_SHOWN = 10  # verdicts before the rest is folded away
_MOST_NAMED = 6  # variants in the headline
_EQUAL = 1.01  # costs nearer than this are called equal


@dataclass(frozen=True)
class Line:
    """One pair of variants: the verdict, which of the two has the better mean, and its place on the metric's strip.

    ``strip`` holds, in percent of the strip's width, no difference, the mean, and the ends of the interval if there is one:
    to the right of no difference ``ahead`` is better. It is empty where a figure is infinite.
    """

    verdict: Verdict
    ahead: Variant
    strip: tuple[float, ...]


@dataclass(frozen=True)
class Pairs:
    """All pairs of variants in one metric: the first ones are shown, the rest is folded away."""

    metric: type[Metric]
    shown: tuple[Line, ...]
    folded: tuple[Line, ...]
    decided: int

    @property
    def total(self) -> int:
        """How many pairs there are."""
        return len(self.shown) + len(self.folded)


def headline(comparison: Comparison, found: Sequence[Verdict]) -> str:
    """Return in one or two sentences what the verdicts in the first metric say of all variants together."""
    variants = [variant for variant in comparison.ranked if variant.control_of is None]
    first = [verdict for verdict in found if verdict.metric is found[0].metric]
    if not first:
        return "One model alone: there is nothing to compare it with."
    if all(verdict.difference.n < 2 for verdict in first):
        return "One seed decides nothing: which variant is better cannot be said from these runs."
    if len(variants) < 2:
        return "A control: the same model from different seeds."
    wins = Counter(verdict.better.label for verdict in first if verdict.better)
    beaten = {(one.second if one.better is one.first else one.first).label for one in first if one.better}
    return _ranking(variants, wins, beaten, first[0].metric.title)


def _ranking(variants: Sequence[Variant], wins: Mapping[str, int], beaten: set[str], title: str) -> str:
    if not beaten:
        return f"No difference in {title} is decided."
    worse, rest = ([one.label for one in variants if (one.label in beaten) is lost] for lost in (True, False))
    for best in rest:
        if wins[best] == len(variants) - 1:
            others = "the other variant" if len(variants) == 2 else f"all {len(variants) - 1} others"
            return f"{best} is better than {others} in {title}."
    if len(variants) > _MOST_NAMED:
        return (
            f"No single best variant in {title}: {len(worse)} of {len(variants)} are worse than another, "
            f"{len(rest)} are worse than none."
        )
    verb = "is" if len(worse) == 1 else "are"
    return f"{_listed(worse)} {verb} worse in {title}. Which of {_listed(rest)} is best is not decided."


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
    """Return by how much the variant with the better mean is better: the mean, and the interval's ends if there is one."""
    found = verdict.difference
    ends = [found.interval.low, found.interval.high] if found.interval else []
    return [found.mean, *ends] if found.mean >= 0 else [-found.mean, *(-end for end in reversed(ends))]


def _line(verdict: Verdict, low: float, high: float) -> Line:
    """Return a pair's line; ``low`` and ``high`` are the ends of the strip."""
    ahead = verdict.first if (verdict.difference.mean >= 0) == verdict.metric.higher_is_better else verdict.second
    values, span = (0.0, *_advantage(verdict)), high - low
    drawn = all(map(math.isfinite, (*values, span))) and span > 0
    return Line(verdict, ahead, tuple(2 + 96 * ((value - low) / span) for value in values) if drawn else ())


def cost_sentences(table: ResultTable) -> list[str]:
    """Return, for each cost of the table, how far the variants are apart in it and which are the ends."""
    rows = [row for row in table.rows if row.ranked]
    if len(rows) < 2:
        return []
    known = [name for name in table.columns if name in COSTS and all(is_number(row.values[name]) for row in rows)]
    return [_cost(table.columns[name], name, rows) for name in known]


def _cost(cost: Column, name: str, rows: Sequence[Row]) -> str:
    """Return for example "Training tokens per second: 14.4 k (additive) to 20.3 k (causal), 41 % apart"."""
    ordered = sorted(rows, key=lambda row: row.values[name] or 0.0)
    low, high = ordered[0].values[name] or 0.0, ordered[-1].values[name] or 0.0
    title = cost.title[0].upper() + cost.title[1:]
    least, most = (f"{cost.format(end)}{' s' if cost.unit == 's' else ''}" for end in (low, high))
    if high <= low * _EQUAL:
        return f"{title}: {least} for all"
    ends = f"{least} ({ordered[0].variant.label}) to {most} ({ordered[-1].variant.label})"
    factor = high / low if low > 0 else math.inf
    apart = f"{100 * (factor - 1):.0f} % apart" if factor < 3 else f"{factor:.1f} times" if factor < math.inf else ""
    return f"{title}: {ends}" + (f", {apart}" if apart else "")


NUMBERS = (
    *("pair", "metric", "difference", "95 % interval", "pairs of seeds", "p", "smallest p", "corrected", "Holm"),
    *("effect", "P(first better)", "items p"),
)


def numbers(verdict: Verdict) -> tuple[str, ...]:
    """Return all figures of a test as the cells of a row below ``NUMBERS``."""
    found, write, items = verdict.difference, verdict.metric.format, verdict.difference.items
    return (
        f"{verdict.first.label} – {verdict.second.label}",
        verdict.metric.title,
        write(found.mean),
        f"[{write(found.interval.low)}, {write(found.interval.high)}]" if found.interval else "–",
        str(found.n) if found.paired else f"{found.n}, not paired",
        *map(_number, (found.p, found.smallest_p, found.p_family, found.p_holm)),
        *map(_number, (found.effect_size, found.probability_of_improvement)),
        f"{_number(items.p)} ({items.items} items)" if items else "–",
    )


def _number(value: float | None) -> str:
    return f"{value:.3g}" if is_number(value) else "–"
