"""Which differences between variants are real: pairs of models in every tested metric, corrected for all of them.

The pairs are all there are, or those with the baseline.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

import numpy as np

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.identity import named_seeds
from attncompare.compare.statistics import (
    ALPHA,
    MOST_ITEMS,
    Difference,
    Estimate,
    Interval,
    Items,
    ItemTest,
    correct,
    difference,
    estimate,
    item_test,
    level_after,
    rate_interval,
    read_items,
    spent,
    with_advice,
)
from attncompare.config.variants import written
from attncompare.errors import Refused
from attncompare.record import Run
from attncompare.tasks.metrics import Metric
from attncompare.text import counted

_FINE = 0.01  # a smallest p below this limits no verdict
_MOST_PAIRS = 66  # with more, resampling the items of every pair would take too long
_UNEQUAL, _LOPSIDED = 3.0, 1.0  # ratio of standard deviations, and skewness, from which on means may be judged wrongly


@dataclass(frozen=True)
class Verdict:
    """One pair of variants in one metric; ``difference`` is first minus second.

    ``better`` is None where the difference does not hold after correction for all comparisons; ``same_model`` is whether
    both train the same model, from other seeds: a control, no part of the family; ``within_margin`` is whether no
    difference larger than the margin asked for is compatible with the figures.
    """

    first: Variant
    second: Variant
    metric: type[Metric]
    difference: Difference
    better: Variant | None
    sentence: str
    same_model: bool
    within_margin: bool = False

    @property
    def decided(self) -> bool:
        """Whether the difference holds after correction for all comparisons; never from one seed."""
        return self.better is not None

    @property
    def ahead(self) -> Variant:
        """The variant with the better figures, decided or not."""
        return self.first if (self.difference.sign >= 0) == self.metric.higher_is_better else self.second


def estimates(comparison: Comparison) -> dict[tuple[str, str], Estimate]:
    """Return by variant's label and metric what its seeds say but collapsed ones; nothing where a run lacks the figure."""
    found = {}
    for variant in comparison.variants:
        lost = comparison.collapsed.get(variant.label, ())
        for name in comparison.metrics:
            figures = comparison.figures(variant, name)
            kept = [figure for seed, figure in figures.items() if seed not in lost]
            if figures:
                own = estimate(kept or list(figures.values()))
                interval = own.interval and own.interval.within(*comparison.metrics[name].bounds)
                found[variant.label, name] = replace(own, interval=interval)
    return found


def leaders(comparison: Comparison) -> dict[str, set[str]]:
    """Return by metric the labels of the best variant and of those that are not decided to be worse.

    Empty where nothing is decided against the best one, and so where each variant has one seed. A variant with
    collapsed seeds is never the best: the other seeds are the lucky ones.
    """
    found: dict[str, set[str]] = {}
    over_seeds, own = estimates(comparison), verdicts(comparison)
    for metric in filter(lambda one: one.judges, comparison.tested):
        means = {
            variant.label: over_seeds[variant.label, metric.name].mean
            for variant in comparison.ranked
            if (variant.label, metric.name) in over_seeds and variant.label not in comparison.collapsed
        }
        means = {label: mean for label, mean in means.items() if not math.isnan(mean)}
        if not means:
            continue
        best = (max if metric.higher_is_better else min)(means, key=lambda label: means[label])
        winners = {best, comparison.baseline.label if comparison.baseline else best}
        worse = {
            one.second.label if one.better is one.first else one.first.label
            for one in own
            if one.metric is metric and one.better is not None and one.better.label in winners
        }
        found[metric.name] = means.keys() - worse if worse else set()
    return found


def verdicts(comparison: Comparison) -> list[Verdict]:
    """Return the verdict on each pair of models in each tested metric that both have, the most important metric first.

    With a baseline these are its pairs with all others.
    """
    return list(_computed(comparison)[0])


def verdict_notes(comparison: Comparison) -> tuple[str, ...]:
    """Return why some verdicts say less than they could."""
    return _computed(comparison)[1]


def in_order(found: Sequence[Verdict]) -> list[Verdict]:
    """Return the decided verdicts first; within a metric those of the best variants first, and the largest differences."""
    wins = Counter((verdict.metric.name, verdict.better.label) for verdict in found if verdict.better)
    metrics = list(dict.fromkeys(verdict.metric.name for verdict in found))

    def place(verdict: Verdict) -> tuple[float, ...]:
        name, one = verdict.metric.name, verdict.difference
        if verdict.better:
            return (0, metrics.index(name), -wins[name, verdict.better.label], -abs(one.mean))
        return (1, metrics.index(name), 1.0 if one.p_family is None else one.p_family, 0)

    return sorted(found, key=place)


@lru_cache(maxsize=16)  # the terminal, the page and the data ask for the same verdicts
def _computed(comparison: Comparison) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    items = _TestItems(comparison)
    pairs = list(_pairs(comparison, items))
    notes = [*_notes(comparison, pairs), *items.notes]
    family = [place for place, (first, second, _, _) in enumerate(pairs) if not _is_control(first, second)]
    metrics, level = [pairs[place][2].name for place in family], comparison.level
    corrected = correct([pairs[place][3] for place in family], metrics, level)
    looks = [look.spent for look in comparison.looks]
    now = spent(corrected, level)
    corrected = with_advice(corrected, metrics, level_after([*looks, now] if now else looks))
    differences = dict(zip(family, corrected, strict=True))
    verdicts = []
    for place, (first, second, metric, bare) in enumerate(pairs):
        found, same_model = differences.get(place, bare), place not in differences
        margin, (least, most) = comparison.options.margin_of(metric), metric.bounds
        if found.interval and least is not None and most is not None:
            found = replace(found, interval=found.interval.within(least - most, most - least))
        verdict = Verdict(
            first,
            second,
            metric,
            found,
            None,
            sentence(first, second, metric, found, same_model=same_model, margin=margin),
            same_model,
            margin is not None and not same_model and found.within(margin),
        )
        verdicts.append(replace(verdict, better=verdict.ahead) if found.decided and not same_model else verdict)
    return tuple(verdicts), tuple(notes)


Pair = tuple[Variant, Variant, type[Metric], Difference]


def _pairs(comparison: Comparison, items: "_TestItems") -> Iterator[Pair]:
    for metric in comparison.tested:
        for first, second in _asked(comparison):
            if (first.control_of or second.control_of) and not _is_control(first, second):
                continue  # each model meets the other ones once, by the variant that it is a control of
            figures = [comparison.figures_of_all_seeds(one, metric) for one in (first, second)]
            if all(figures):
                ranks = not comparison.collapsed.keys().isdisjoint((first.label, second.label))
                over_items = items.test(first, second, metric)
                yield first, second, metric, difference(*figures, items=over_items, ranks=ranks)


def _asked(comparison: Comparison) -> list[tuple[Variant, Variant]]:
    """Return the pairs that were asked for: all, or those with the baseline."""
    pairs, baseline = combinations(comparison.ranked, 2), comparison.baseline
    return [pair for pair in pairs if baseline is None or baseline in pair]


def _is_control(first: Variant, second: Variant) -> bool:
    return first.control_of == second.label or second.control_of == first.label


class _TestItems:
    """What two variants did on the same test items, and ``notes`` why there are no such tests, or fewer."""

    def __init__(self, comparison: Comparison) -> None:
        self.notes: list[str] = []
        self._items: dict[tuple[str, str], dict[int, Items]] = {}
        metrics = [metric for metric in comparison.tested if metric.sums and comparison.budget is None]
        if len(comparison.ranked) < 2 or not metrics:
            return
        if len(_asked(comparison)) > _MOST_PAIRS:
            self.notes.append(f"more than {_MOST_PAIRS} pairs of variants: not tested over test items")
            return
        rows = {run.path: run.items() for variant in comparison.ranked for run in variant.runs}
        if max(map(len, rows.values())) > MOST_ITEMS:
            self.notes.append(f"more than {MOST_ITEMS:,} test items: not tested over them")
            return
        lacking: dict[str, Run] = {}
        for metric in metrics:
            for variant in comparison.ranked:
                found = {run.config.seed: read_items(metric, rows[run.path]) for run in variant.runs}
                whole = {seed: one for seed, one in found.items() if one is not None}
                if len(whole) == len(found):  # else the variant would be judged by its other seeds
                    self._items[variant.label, metric.name] = whole
                lacking |= {str(run.path): run for run in variant.runs if found[run.config.seed] is None}
        if lacking:
            where = _first_of(list(lacking.values()))
            self.notes.append(f"items.jsonl does not hold the test set in {where}: not tested over test items")

    def test(self, first: Variant, second: Variant, metric: type[Metric]) -> ItemTest | None:
        pair = [self._items.get((variant.label, metric.name)) for variant in (first, second)]
        if pair[0] is None or pair[1] is None:
            return None
        try:
            return item_test(pair[0], pair[1])
        except Refused:
            note = f"{first.label} and {second.label} were tested on different items, so only over seeds"
            self.notes += [] if note in self.notes else [note]
            return None


def _first_of(runs: Sequence[Run]) -> str:
    return f"{runs[0].path}" + (f" and {len(runs) - 1} more" if len(runs) > 1 else "")


def _notes(comparison: Comparison, pairs: Sequence[Pair]) -> list[str]:
    """Say which seeds collapsed, which runs lack a metric, which seeds have no partner, and what makes means unsafe."""
    ranked = comparison.ranked
    notes = [_collapse_note(variant, comparison.collapsed[variant.label]) for variant in comparison.unstable]
    runs = [run for variant in ranked for run in variant.runs] if len(ranked) > 1 else []
    for metric in comparison.tested:
        if lacking := [run for run in runs if comparison.figure(run, metric.name) is None]:
            notes.append(f"{metric.title} is missing in {_first_of(lacking)}: such variants are not tested in it")
    partners: dict[tuple[str, tuple[int, ...]], dict[str, None]] = {}
    for first, second, _, found in pairs:
        for one, other in ((first, second), (second, first)) if found.paired else ():
            if unused := tuple(sorted(set(one.all_seeds) - set(other.all_seeds))):
                partners.setdefault((one.label, unused), {})[other.label] = None
    for (label, seeds), others in partners.items():
        verb = "are" if len(seeds) > 1 else "is"
        beside = f"beside {', '.join(others)}: no run there has the same seed"
        notes.append(f"{named_seeds(seeds)} of {label} {verb} not used {beside}")
    if unequal := _unequal_noise(comparison):
        what = "is lopsided and far larger than that of others, so more than 5 % of such verdicts on means are wrong"
        notes.append(f"the seed noise of {', '.join(unequal)} {what} (docs/statistics.md)")
    for option in comparison.exploratory:
        value = written(getattr(comparison.options, option))
        why = f"exploratory: whoever looks at the figures and then chooses a {option} errs more often than p says"
        notes.append(f"{why}; name it before training, with compare.{option}={value}")
    return notes


def _collapse_note(variant: Variant, seeds: Sequence[int]) -> str:
    lost, n = len(seeds), len(variant.all_seeds)
    rate = rate_interval(lost, n)
    told = (
        f"{named_seeds(seeds)} of {variant.label} {'diverged' if set(seeds) <= set(variant.diverged) else 'collapsed'}"
    )
    share = f"{lost} of {n}, with a rate between {100 * rate.low:.0f} and {100 * rate.high:.0f} %"
    return f"{told} ({share}): its row is the mean of the others, and its verdicts are by ranks of all"


def _unequal_noise(comparison: Comparison) -> list[str]:
    """Return the labels of variants with lopsided seed noise that is far larger than that of the others."""
    found: dict[str, None] = {}
    for metric in comparison.tested:
        figures = {
            one.label: list(comparison.figures(one, metric.name).values())
            for one in comparison.ranked
            if one.label not in comparison.collapsed and len(one.runs) > 2
        }
        spreads = {
            label: float(np.std(values, ddof=1)) for label, values in figures.items() if np.isfinite(values).all()
        }
        usual = float(np.median(list(spreads.values()))) if len(spreads) > 1 else math.inf
        for label, spread in spreads.items():
            if spread > _UNEQUAL * usual:
                units = (np.array(figures[label]) - np.mean(figures[label])) / np.std(figures[label])
                found |= {label: None} if abs(float((units**3).mean())) > _LOPSIDED else {}
    return list(found)


def how_tested(comparison: Comparison, found: Sequence[Verdict]) -> str:
    """Return in words what the figures of the sentences are."""
    family = [verdict.difference for verdict in found if verdict.difference.p_family is not None]
    if not family:
        controls = [verdict for verdict in found if verdict.difference.p is not None]
        return "p: exact test over seeds, not corrected: a control." if controls else "No pair can be tested."
    count = "the one comparison" if len(family) == 1 else f"all {len(family)} comparisons"
    count += f" with {comparison.baseline.label}" if comparison.baseline else ""
    level, words = family[0].level, []
    if intervals := [one.interval for one in family if one.interval]:
        at_once = "" if len(family) == 1 else f", for {count} at once"
        words.append(f"Intervals: {100 * min(one.level for one in intervals):.3g} %, over seeds{at_once}")
    p = f"p: exact test over seeds, corrected for {count}{_least(family)}"
    looks = len(comparison.looks) + 1
    look = "" if looks == 1 else f" at look {looks} at this sweep, with other seeds than before"
    words.append(f"{p}; {level:.2g} or less decides{look}")
    if any(one.ranks for one in family):
        words.append("By ranks: a diverged seed counts as the worst of all")
    return ". ".join(words) + "."


def _least(family: Sequence[Difference]) -> str:
    """Return below what no corrected p of ``family`` can go, where that limits a verdict."""
    smallest = {one.smallest_p or 1.0 for one in family}
    least = min(1.0, max(smallest) * (1 + (len({one.paired for one in family}) > 1)))
    if least <= _FINE:
        return ""
    return f"; with so few seeds it cannot go below {least:.2g}{' for some pairs' * (len(smallest) > 1)}"


def sentence(
    first: Variant,
    second: Variant,
    metric: type[Metric],
    found: Difference,
    *,
    same_model: bool = False,
    margin: float | None = None,
) -> str:
    """Return the verdict on one pair of variants in one metric; of the same model, neither can be better."""
    both = f"{first.label} and {second.label}"
    if found.n == 1:
        if not math.isfinite(found.mean):
            lost = ", ".join(filter(None, (first.diverged_note, second.diverged_note))) or "a figure is not finite"
            return f"{both}: not compared in {metric.title}: {lost}"
        over_items = ""
        if found.items:
            over_items = (
                f" ({_range(metric, found.items.interval, found.mean < 0)} over {found.items.items} test items)"
            )
        gap = f"{metric.format(abs(found.mean))} {metric.measure()}{over_items}"
        return f"{both}: {gap} apart, from one seed, which decides nothing"
    leads = found.sign == 0 or (found.sign > 0) == metric.higher_is_better
    ahead, behind = (first.label, second.label) if leads else (second.label, first.label)
    seeds = f"{found.n} seeds"
    if not found.paired:
        seeds = f"{len(first.all_seeds)} and {len(second.all_seeds)} seeds, not paired"
    facts = f"{seeds}, {p_value((found.p or 1.0) if found.p_family is None else found.p_family, found.level)}"
    unit = "points" if metric.unit == "%" else metric.unit
    small = margin is not None and found.within(margin)
    if found.decided and not same_model:
        is_more = f"{ahead} is {metric.words()[0]} than {behind}"
        if found.ranks:
            return f"{is_more} in {metric.title} by ranks, {facts}"
        less = f", less than the margin of {(margin or 0.0) * metric.scale():g}" if small else ""
        what, measure = ("", metric.measure()) if metric.judges else (f" in {metric.title}", unit)
        return f"{is_more}{what} by {_size(metric, found, measure)}{less}, {facts}"
    lead = f"{ahead} {'ahead' if metric.judges else 'higher'}" if found.sign else "equal"
    size = "by ranks" if found.ranks else f"{'by ' if found.sign else ''}{_size(metric, found, unit)}"
    gap = f"{lead}{'' if found.sign else ','} {size}, {facts}"
    if same_model:
        how = "told apart by chance" if (found.p or 1.0) <= ALPHA else "not decided"
        return f"{both} are the same model from different seeds: {how} in {metric.title} ({gap})"
    limit = f"{(margin or 0.0) * metric.scale():g} {unit}".rstrip()
    what = f"no difference larger than {limit}" if small else "not decided"
    return f"{ahead} and {behind}: {what} in {metric.title} ({gap}){'' if small else _needed(found.more_seeds)}"


def _needed(more: tuple[int, int] | None) -> str:
    if more is None:
        return ""
    low, high = more
    count = counted(high, "more seed").replace(str(high), f"{low} to {high}" if high > low else f"about {high}", 1)
    return f": {count} needed"


def _size(metric: type[Metric], found: Difference, unit: str) -> str:
    text = f"{metric.format(abs(found.mean))} {unit}".rstrip()
    return text if found.interval is None else f"{text} {_range(metric, found.interval, found.mean < 0)}"


def _range(metric: type[Metric], interval: Interval, turned: bool) -> str:
    low, high = (0.0 - interval.high, 0.0 - interval.low) if turned else (interval.low, interval.high)
    return f"[{metric.format(low)}, {metric.format(high)}]"


def p_value(p: float, level: float) -> str:
    """Return "p = 0.031", to two digits, or three where two would put it on the other side of ``level``."""
    if p < 0.001:
        return "p < 0.001"
    text = f"{p:.2g}"
    return f"p = {text}" if (float(text) <= level) == (p <= level) else f"p = {p:.3g}"
