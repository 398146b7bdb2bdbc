"""Which differences between variants are real: every pair of models in every tested metric, corrected for all of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.identity import named_seeds
from attncompare.compare.statistics import (
    ALPHA,
    MOST_ITEMS,
    Difference,
    Estimate,
    Items,
    ItemTest,
    correct,
    difference,
    estimate,
    independent_blocks,
    item_test,
    read_items,
)
from attncompare.errors import Refused
from attncompare.record import Run
from attncompare.tasks.metrics import Metric
from attncompare.text import counted

_FINE = 0.01  # a smallest p below this limits no verdict
_MOST_VARIANTS = 12  # with more, resampling the items of every pair would take too long


@dataclass(frozen=True)
class Verdict:
    """One pair of variants in one metric; ``difference`` is first minus second.

    ``better`` is None where the difference does not hold after correction for all comparisons; ``same_model`` is whether
    both train the same model, from other seeds: a control, no part of the family.
    """

    first: Variant
    second: Variant
    metric: type[Metric]
    difference: Difference
    better: Variant | None
    sentence: str
    same_model: bool

    @property
    def decided(self) -> bool:
        """Whether the difference holds after correction for all comparisons; never from one seed."""
        return self.better is not None


def estimates(comparison: Comparison) -> dict[tuple[str, str], Estimate]:
    """Return by variant's label and metric what its seeds say; nothing where a run lacks the figure."""
    return {
        (variant.label, name): estimate(list(figures.values()))
        for variant in comparison.variants
        for name in comparison.metrics
        if (figures := _figures(comparison, variant, name))
    }


def verdicts(comparison: Comparison) -> list[Verdict]:
    """Return the verdict on each pair of models in each tested metric that both have, the most important metric first."""
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
    corrected = correct([pairs[place][3] for place in family], [pairs[place][2].name for place in family])
    differences = dict(zip(family, corrected, strict=True))
    verdicts = []
    for place, (first, second, metric, bare) in enumerate(pairs):
        found, same_model = differences.get(place, bare), place not in differences
        ahead = first if (found.mean > 0) == metric.higher_is_better else second
        words = sentence(first, second, metric, found, same_model=same_model)
        verdicts.append(Verdict(first, second, metric, found, ahead if found.decided else None, words, same_model))
    return tuple(verdicts), tuple(notes)


Pair = tuple[Variant, Variant, type[Metric], Difference]


def _pairs(comparison: Comparison, items: "_TestItems") -> Iterator[Pair]:
    for metric in comparison.tested:
        for first, second in combinations(comparison.ranked, 2):
            if (first.control_of or second.control_of) and not _is_control(first, second):
                continue  # each model meets the other ones once, by the variant that it is a control of
            figures = [_figures(comparison, one, metric.name) for one in (first, second)]
            if all(figures):
                lost = ", ".join(filter(None, (first.diverged_note, second.diverged_note))) or None
                over_items = items.test(first, second, metric)
                yield first, second, metric, difference(*figures, items=over_items, untestable=lost)


def _is_control(first: Variant, second: Variant) -> bool:
    return first.control_of == second.label or second.control_of == first.label


def _figures(comparison: Comparison, variant: Variant, name: str) -> dict[int, float]:
    """Return the figures of ``variant`` by seed; none where a run lacks its own, as a mean of the rest misleads."""
    figures = {run.config.seed: comparison.figure(run, name) for run in variant.runs}
    present = {seed: float(figure) for seed, figure in figures.items() if figure is not None}
    return present if len(present) == len(figures) else {}


class _TestItems:
    """What two variants did on the same test items, and ``notes`` why there are no such tests, or fewer."""

    def __init__(self, comparison: Comparison) -> None:
        self.notes: list[str] = []
        self._items: dict[tuple[str, str], dict[int, Items]] = {}
        metrics = [metric for metric in comparison.tested if metric.sums and comparison.budget is None]
        if len(comparison.ranked) < 2 or not metrics:
            return
        if len(comparison.ranked) > _MOST_VARIANTS:
            self.notes.append(f"more than {_MOST_VARIANTS} variants: not tested over test items")
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
    """Say which seeds diverged, which runs lack a metric, and which seeds have no partner in another variant."""
    ranked = comparison.ranked
    notes = [
        f"{variant.diverged_note}: the row is the mean of the other seeds, and its pairs are not tested"
        for variant in ranked
        if variant.diverged
    ]
    runs = [run for variant in ranked for run in variant.runs] if len(ranked) > 1 else []
    for metric in comparison.tested:
        if lacking := [run for run in runs if comparison.figure(run, metric.name) is None]:
            notes.append(f"{metric.title} is missing in {_first_of(lacking)}: such variants are not tested in it")
    partners: dict[tuple[str, tuple[int, ...]], dict[str, None]] = {}
    for first, second, _, found in pairs:
        for one, other in ((first, second), (second, first)) if found.paired else ():
            if unused := tuple(sorted(set(one.seeds) - set(other.seeds))):
                partners.setdefault((one.label, unused), {})[other.label] = None
    for (label, seeds), others in partners.items():
        verb = "are" if len(seeds) > 1 else "is"
        beside = f"beside {', '.join(others)}: no run there has the same seed"
        notes.append(f"{named_seeds(seeds)} of {label} {verb} not used {beside}")
    return notes


def how_tested(found: Sequence[Verdict]) -> str:
    """Return in words what the figures of the sentences are."""
    family = [verdict for verdict in found if verdict.difference.p_family is not None]
    if family:
        count = "one comparison" if len(family) == 1 else f"all {len(family)} comparisons"
        p = f"p: exact test over seeds, corrected for {count}{_least(family)}"
    elif any(verdict.difference.p is not None for verdict in found):
        p = "p: exact test over seeds, not corrected: a control"
    else:
        return "No pair can be tested."
    words = ["Intervals: 95 %, over seeds, of one comparison", p]
    if any(verdict.difference.items for verdict in found):
        words.append("p over test items: what another test set could change, with the same seeds; not corrected")
    return ". ".join(words) + "."


def _least(family: Sequence[Verdict]) -> str:
    """Return below what no corrected p of ``family`` can go, where that limits a verdict."""
    blocks = independent_blocks([verdict.difference for verdict in family])
    smallest = {verdict.difference.smallest_p or 1.0 for verdict in family}
    least = min(1.0, blocks * max(smallest))
    if least <= _FINE:
        return ""
    unpaired = len({(one.first.label, one.second.label) for one in family if not one.difference.paired})
    why = f" and because {counted(unpaired, 'pair')} share no seeds or too few" if blocks > 1 else ""
    return f"; with so few seeds{why} it cannot go below {least:.2g}{' for some pairs' * (len(smallest) > 1)}"


def sentence(
    first: Variant, second: Variant, metric: type[Metric], found: Difference, *, same_model: bool = False
) -> str:
    """Return the verdict on one pair of variants in one metric; of the same model, neither can be better."""
    both = f"{first.label} and {second.label}"
    over_items = f"over {found.items.items} test items, {p_value(found.items.p)}" if found.items else ""
    if found.n == 1:
        if found.untestable:
            return f"{both}: not compared in {metric.title}: {found.untestable}"
        gap = f"{metric.format(abs(found.mean))} {metric.measure()}{f' ({over_items})' if over_items else ''}"
        return f"{both}: {gap} apart, from one seed, which decides nothing"
    if found.untestable or found.p is None:
        return f"{both}: not tested in {metric.title}, {found.untestable or 'a figure is missing'}"
    leads = found.mean == 0 or (found.mean > 0) == metric.higher_is_better
    ahead, behind = (first.label, second.label) if leads else (second.label, first.label)
    seeds = f"{found.n} seeds" if found.paired else f"{len(first.runs)} and {len(second.runs)} seeds, not paired"
    p = p_value(found.p if found.p_family is None else found.p_family)
    facts = f"{seeds}, {p}" + (f"; {over_items}" if over_items else "")
    if found.decided and not same_model:
        return f"{ahead} is better than {behind} by {_size(metric, found, metric.measure())}, {facts}"
    lead = f"{ahead} ahead by" if found.mean else "equal,"
    gap = f"{lead} {_size(metric, found, 'points' if metric.unit == '%' else metric.unit)}, {facts}"
    if same_model:
        how = "told apart by chance" if found.p <= ALPHA else "not decided"
        return f"{both} are the same model from different seeds: {how} in {metric.title} ({gap})"
    more = found.more_seeds
    needed = "" if more is None else f": about {more} more seed{'s' * (more > 1)} needed"
    return f"{ahead} and {behind}: not decided in {metric.title} ({gap}){needed}"


def _size(metric: type[Metric], found: Difference, unit: str) -> str:
    text = f"{metric.format(abs(found.mean))} {unit}".rstrip()
    interval = found.interval
    if interval is None:
        return text
    low, high = (0.0 - interval.high, 0.0 - interval.low) if found.mean < 0 else (interval.low, interval.high)
    return f"{text} [{metric.format(low)}, {metric.format(high)}]"


def p_value(p: float) -> str:
    """Return "p = 0.031", to two digits, or three where two would put it on the other side of the limit."""
    if p < 0.001:
        return "p < 0.001"
    text = f"{p:.2g}"
    return f"p = {text}" if (float(text) <= ALPHA) == (p <= ALPHA) else f"p = {p:.3g}"
