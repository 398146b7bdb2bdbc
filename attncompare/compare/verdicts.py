"""Which differences between variants are real: every pair of models in every tested metric, corrected for all of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from attncompare.compare.diverged import told
from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.pair_notes import diverged_notes, missing_notes, unused_notes
from attncompare.compare.sentences import sentence
from attncompare.compare.statistics import Difference, Estimate, correct, difference, estimate, independent_blocks
from attncompare.compare.tested_items import TestedItems
from attncompare.text import METRICS, Metric
from attncompare.record import Run

_FINE = 0.01  # a smallest p below this limits nobody
_NOT_PAIRED, _DISJOINT = "are not paired by seed", "share no seeds"
_OF_ONE = {_NOT_PAIRED: "is not paired by seed", _DISJOINT: "shares no seeds"}
_KINDS = {"pairs with common seeds": True, "pairs without": False}
_KEPT = 16  # comparisons: the terminal, the page and the data ask for the same verdicts


@dataclass(frozen=True)
class Verdict:
    """One pair of variants in one metric.

    Attributes:
        first: the variant from which the second is subtracted.
        second: the other.
        metric: what is compared.
        difference: first minus second.
        decided: whether the difference holds after correction for all comparisons; never from one seed.
        better: the better one; None where that is not decided.
        sentence: all of it in words.
        same_model: whether both train the same model, from other seeds: a control, no part of the family.
    """

    first: Variant
    second: Variant
    metric: Metric
    difference: Difference
    decided: bool
    better: Variant | None
    sentence: str
    same_model: bool


def estimates(comparison: Comparison) -> dict[tuple[str, str], Estimate]:
    """Return by variant's label and metric key what its seeds say; nothing where a run lacks the figure."""
    found = {}
    for variant in comparison.variants:
        for key in METRICS:
            figures = _figures(comparison, variant, key)
            if figures:
                found[variant.label, key] = estimate(list(figures.values()))
    return found


def verdicts(comparison: Comparison) -> list[Verdict]:
    """Return the verdict on each pair of models in each tested metric, the most important metric first.

    A pair has none in a metric that a run of it lacks; :func:`verdict_notes` names that run.
    """
    return list(_computed(comparison)[0])


def in_order(found: Sequence[Verdict]) -> list[Verdict]:
    """Return the decided verdicts first; within a metric those of the best variants first, and the largest differences."""
    wins = Counter((verdict.metric.key, verdict.better.label) for verdict in found if verdict.better)
    metrics = list(dict.fromkeys(verdict.metric.key for verdict in found))

    def place(verdict: Verdict) -> tuple[float, ...]:
        key, one = verdict.metric.key, verdict.difference
        if verdict.better:
            return (0, metrics.index(key), -wins[key, verdict.better.label], -abs(one.mean))
        return (1, metrics.index(key), 1.0 if one.p_family is None else one.p_family, 0)

    return sorted(found, key=place)


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
    if any(verdict.difference.sentences for verdict in found):
        words.append(
            "p over sentences or documents: what another test set could change, with the same seeds; not corrected"
        )
    return ". ".join(words) + "."


def _least(family: Sequence[Verdict]) -> str:
    """Return below what no corrected p of ``family`` can go, where that limits anybody."""
    blocks = independent_blocks([verdict.difference for verdict in family])
    limits = {}
    for name, is_paired in _KINDS.items():
        reach = [one.smallest_p for one in (v.difference for v in family) if one.paired is is_paired and one.smallest_p]
        if reach:
            limits[name] = min(1.0, min(reach) * blocks)
    if max(limits.values(), default=0.0) <= _FINE:
        return ""
    mixed = len(limits) > 1
    told = [f"{least:.2g}{f' for {name}' if mixed else ''}" for name, least in limits.items() if least > _FINE]
    apart = {
        (verdict.first.label, verdict.second.label): set(verdict.first.seeds) & set(verdict.second.seeds)
        for verdict in family
        if not verdict.difference.paired
    }
    how = _NOT_PAIRED if any(apart.values()) else _DISJOINT
    pairs = f"{len(apart)} pairs {how}" if len(apart) > 1 else f"1 pair {_OF_ONE[how]}"
    why = f" and because {pairs}" if blocks > 1 else ""
    return f"; with so few seeds{why} it cannot go below {' and '.join(told)}"


def verdict_notes(comparison: Comparison) -> tuple[str, ...]:
    """Return why some verdicts say less than they could."""
    return _computed(comparison)[1]


@lru_cache(maxsize=_KEPT)
def _computed(comparison: Comparison) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    items = TestedItems(comparison)
    pairs = list(_pairs(comparison, items))
    notes = [
        *diverged_notes(comparison),
        *missing_notes(_missing(comparison)),
        *unused_notes((first, second, found) for first, second, _, found in pairs),
        *items.notes,
    ]
    family = [place for place, (first, second, _, _) in enumerate(pairs) if not _is_control(first, second)]
    corrected = correct([pairs[place][3] for place in family], [pairs[place][2].key for place in family])
    differences = dict(zip(family, corrected, strict=True))
    found = [
        _verdict(first, second, metric, differences.get(place, bare), same_model=place not in differences)
        for place, (first, second, metric, bare) in enumerate(pairs)
    ]
    return tuple(found), tuple(notes)


def _pairs(comparison: Comparison, items: TestedItems) -> Iterator[tuple[Variant, Variant, Metric, Difference]]:
    for key in comparison.tested:
        metric = METRICS[key]
        for first, second in combinations(comparison.ranked, 2):
            if (first.control_of or second.control_of) and not _is_control(first, second):
                continue  # each model meets the others once, by the variant that it is a control of
            figures = _figures(comparison, first, key), _figures(comparison, second, key)
            if all(figures):
                test = items.test(first, second, key)
                lost = ", ".join(filter(None, (told(comparison, one) for one in (first, second)))) or None
                better = metric.higher_is_better
                found = difference(*figures, higher_is_better=better, sentences=test, untestable=lost)
                yield first, second, metric, found


def _missing(comparison: Comparison) -> dict[str, list[Run]]:
    """Return for each tested metric the runs without a figure in it; none where no pair could be tested anyway."""
    runs = [run for variant in comparison.ranked for run in variant.runs] if len(comparison.ranked) > 1 else []
    lacking = {key: [run for run in runs if comparison.figure(run, key) is None] for key in comparison.tested}
    return {key: found for key, found in lacking.items() if found}


def _is_control(first: Variant, second: Variant) -> bool:
    return first.control_of == second.label or second.control_of == first.label


def _figures(comparison: Comparison, variant: Variant, key: str) -> dict[int, float]:
    """Return the figures of ``variant`` by seed; none where a run lacks its own, as a mean of the others misleads."""
    figures = {run.config.seed: comparison.figure(run, key) for run in variant.runs}
    present = {seed: float(figure) for seed, figure in figures.items() if figure is not None}
    return present if len(present) == len(figures) else {}


def _verdict(first: Variant, second: Variant, metric: Metric, found: Difference, *, same_model: bool) -> Verdict:
    decided = found.decided  # never for a control: it is no part of the family
    ahead = first if (found.mean > 0) == metric.higher_is_better else second
    seeds = (len(first.runs), len(second.runs))
    words = sentence(first.label, second.label, metric, found, seeds=seeds, same_model=same_model)
    return Verdict(first, second, metric, found, decided, ahead if decided else None, words, same_model)
