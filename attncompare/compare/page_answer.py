"""The first screen: which variant is better, whether that is real, and what it costs, in sentences and small pictures."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.page_values import is_number
from attncompare.compare.table import ResultTable, Row
from attncompare.compare.verdicts import Verdict, in_order
from attncompare.text import COSTS, Metric

_MOST_SHOWN = 10  # verdicts before the rest is folded away
_MOST_NAMED = 6  # variants in the headline
_ALIKE = 1.01  # costs nearer than this are called equal


@dataclass(frozen=True)
class Reach:
    """Where a difference and its interval lie on a strip from 0 to 100, in percent; ``zero`` is no difference."""

    zero: float
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Line:
    """One pair of variants: the verdict, which of the two has the better mean, and its place on the metric's strip.

    To the right of ``zero``, ``ahead`` is better, to the left ``behind``. ``reach`` is None where a figure is infinite.
    """

    verdict: Verdict
    ahead: Variant
    behind: Variant
    reach: Reach | None


@dataclass(frozen=True)
class Pairs:
    """All pairs of variants in one metric: the first ones are shown, the others folded away."""

    metric: Metric
    shown: tuple[Line, ...]
    folded: tuple[Line, ...]
    decided: int

    @property
    def total(self) -> int:
        """How many pairs there are."""
        return len(self.shown) + len(self.folded)


def pairs_by_metric(found: Sequence[Verdict]) -> list[Pairs]:
    """Return the verdicts metric by metric, in each the decided ones first."""
    by_metric: dict[str, list[Verdict]] = {}
    for verdict in found:
        by_metric.setdefault(verdict.metric.key, []).append(verdict)
    return [_pairs(in_order(one)) for one in by_metric.values()]


def headline(comparison: Comparison, found: Sequence[Verdict]) -> str:
    """Return in one or two sentences what the verdicts in the first metric say of all variants together."""
    variants = [variant for variant in comparison.ranked if variant.control_of is None]
    if not found:
        return "One model alone: there is nothing to compare it with."
    first = [verdict for verdict in found if verdict.metric.key == found[0].metric.key]
    if all(verdict.difference.n < 2 for verdict in first):
        return "One seed decides nothing: which variant is better cannot be said from these runs."
    if len(variants) < 2:
        return "A control: the same model from different seeds."
    return _ranking(variants, first)


def cost_sentences(table: ResultTable) -> list[str]:
    """Return, for each cost of the table, how far the variants are apart in it and which are the ends."""
    rows = [row for row in table.rows if row.ranked]
    costs = [column for column in table.columns if column.key in COSTS and _known(rows, column.key)]
    return [_cost(cost, rows) for cost in costs] if len(rows) > 1 else []


def listed(variants: Iterable[Variant]) -> str:
    """Return the labels as a list in a sentence: "a, b and c"."""
    *most, last = [variant.label for variant in variants]
    return f"{', '.join(most)} and {last}" if most else last


def _ranking(variants: Sequence[Variant], verdicts: Sequence[Verdict]) -> str:
    """Return who is worse than another, and whether one is better than all others, by ``verdicts`` in one metric."""
    title = verdicts[0].metric.title
    decided = [(verdict, verdict.better) for verdict in verdicts if verdict.better]
    wins = Counter(better.label for _, better in decided)
    beaten = {(verdict.second if better is verdict.first else verdict.first).label for verdict, better in decided}
    if not beaten:
        return f"No difference in {title} is decided."
    rest = [variant for variant in variants if variant.label not in beaten]
    best = next((variant for variant in rest if wins[variant.label] == len(variants) - 1), None)
    if best:
        others = "the other variant" if len(variants) == 2 else f"all {len(variants) - 1} others"
        return f"{best.label} is better than {others} in {title}."
    worse = [variant for variant in variants if variant.label in beaten]
    if len(variants) > _MOST_NAMED:
        return (
            f"No single best variant in {title}: {len(worse)} of {len(variants)} are worse than another, "
            f"{len(rest)} are worse than none."
        )
    verb = "is" if len(worse) == 1 else "are"
    return f"{listed(worse)} {verb} worse in {title}. Which of {listed(rest)} is best is not decided."


def _pairs(ordered: Sequence[Verdict]) -> Pairs:
    ends = [end for verdict in ordered for end in _advantage(verdict) if math.isfinite(end)]
    low, high = min(0.0, *ends, 0.0), max(0.0, *ends, 0.0)
    lines = tuple(_line(verdict, low, high) for verdict in ordered)
    decided = sum(verdict.decided for verdict in ordered)
    return Pairs(ordered[0].metric, lines[:_MOST_SHOWN], lines[_MOST_SHOWN:], decided)


def _advantage(verdict: Verdict) -> list[float]:
    """Return by how much the variant with the better mean is better: the mean, and the interval's ends if there is one."""
    found = verdict.difference
    ends = [found.interval.low, found.interval.high] if found.interval else []
    return [found.mean, *ends] if found.mean >= 0 else [-found.mean, *(-end for end in reversed(ends))]


def _first_is_ahead(verdict: Verdict) -> bool:
    return (verdict.difference.mean >= 0) == verdict.metric.higher_is_better


def _line(verdict: Verdict, low: float, high: float) -> Line:
    ahead, behind = (verdict.first, verdict.second) if _first_is_ahead(verdict) else (verdict.second, verdict.first)
    values = _advantage(verdict)
    span = high - low
    if not all(map(math.isfinite, (*values, span))) or span <= 0:
        return Line(verdict, ahead, behind, None)
    zero, mean, *around = (2 + 96 * ((value - low) / span) for value in (0.0, *values))
    return Line(verdict, ahead, behind, Reach(zero, mean, *(around or (None, None))))


def _known(rows: Sequence[Row], key: str) -> bool:
    return all(is_number(row.values.get(key)) for row in rows)


def _cost(metric: Metric, rows: Sequence[Row]) -> str:
    """Return for example "Training tokens per second: 14.4 k (additive) to 20.3 k (causal), 41 % apart"."""
    ordered = sorted(rows, key=lambda row: row.values[metric.key] or 0.0)
    low, high = ordered[0].values[metric.key] or 0.0, ordered[-1].values[metric.key] or 0.0
    title = metric.title[0].upper() + metric.title[1:]
    least, most = (f"{metric.format(end)}{' s' if metric.unit == 's' else ''}" for end in (low, high))
    if high <= low * _ALIKE:
        return f"{title}: {least} for all"
    ends = f"{least} ({ordered[0].variant.label}) to {most} ({ordered[-1].variant.label})"
    factor = high / low if low > 0 else math.inf
    apart = f"{100 * (factor - 1):.0f} % apart" if factor < 3 else f"{factor:.1f} times" if factor < math.inf else ""
    return f"{title}: {ends}" + (f", {apart}" if apart else "")
