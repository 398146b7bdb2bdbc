"""Quality by length of the source (Bahdanau et al. 2014, figure 2): the test items in bins, each with its own figures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.statistics import FEWEST_ITEMS, Estimate, estimate, read_items

_MOST_BINS = 6
_FEWEST_WORDS = 3  # of a middling source; below, as in texts without spaces, its characters are counted


@dataclass(frozen=True)
class Bin:
    """The test items whose source has ``shortest`` to ``longest`` words or characters, ``middle`` in the mean."""

    shortest: int
    longest: int
    middle: float
    items: frozenset[int]

    @property
    def text(self) -> str:
        """The lengths in words: "3-5"."""
        return f"{self.shortest}-{self.longest}" if self.longest > self.shortest else f"{self.shortest}"


@dataclass(frozen=True)
class ByLength:
    """What a comparison comes to by length.

    Attributes:
        unit: what lengths are counted in, ``words`` or ``characters``.
        bins: the shortest first, of about as many test items each.
        estimates: by variant's label and metric the figure over each bin, over seeds.
    """

    unit: str = "words"
    bins: tuple[Bin, ...] = ()
    estimates: Mapping[tuple[str, str], tuple[Estimate, ...]] = field(default_factory=dict)


def by_length(comparison: Comparison) -> ByLength:
    """Return the metrics that pictures show by length of the source, of all variants whose records hold each test item.

    There is nothing where answers have no ``source``, too few items make two bins, or figures of val are compared.
    """
    first = comparison.variants[0].runs[0]
    sources = {} if comparison.budget else {row.get("id"): row.get("source") for row in first.predictions()}
    texts = {item: text for item, text in sources.items() if isinstance(item, int) and isinstance(text, str)}
    if not texts:
        return ByLength()
    words = median(len(text.split()) for text in texts.values()) >= _FEWEST_WORDS
    bins = bins_of({item: len(text.split() if words else text) for item, text in texts.items()})
    if len(bins) < 2:
        return ByLength()
    found: dict[tuple[str, str], tuple[Estimate, ...]] = {}
    for variant in comparison.variants:
        rows = {run.path: run.items() for run in variant.runs}
        for metric in (one for one in comparison.drawn if one.sums):
            figures = _figures(comparison, variant, rows, metric.name, bins)
            if figures:
                each = [estimate(of_bin) for of_bin in figures]
                cut = [one.interval and one.interval.within(*metric.bounds) for one in each]
                found[variant.label, metric.name] = tuple(
                    replace(one, interval=interval) for one, interval in zip(each, cut, strict=True)
                )
    return ByLength("words" if words else "characters", bins, found)


def bins_of(lengths: Mapping[int, int], most: int = _MOST_BINS) -> tuple[Bin, ...]:
    """Return bins of items, given with their lengths: as equal as can be where items of one length stay together."""
    left, room = len(lengths), min(most, len(lengths) // FEWEST_ITEMS)
    bins: list[list[int]] = []
    some: list[int] = []
    inside = 0
    for length, count in sorted(Counter(lengths.values()).items()):
        some.append(length)
        inside += count
        if inside * max(1, room - len(bins)) >= left and inside >= FEWEST_ITEMS:
            bins.append(some)
            left, inside, some = left - inside, 0, []
    if some:  # too few for a bin of their own
        bins = [*bins[:-1], [*bins[-1], *some]] if bins else [some]
    return tuple(_bin(one, lengths) for one in bins)


def _bin(of_lengths: Sequence[int], lengths: Mapping[int, int]) -> Bin:
    items = frozenset(item for item, length in lengths.items() if of_lengths[0] <= length <= of_lengths[-1])
    return Bin(of_lengths[0], of_lengths[-1], fmean(lengths[item] for item in items), items)


def _figures(
    comparison: Comparison,
    variant: Variant,
    rows: Mapping[Path, Sequence[Mapping[str, object]]],
    name: str,
    bins: Sequence[Bin],
) -> list[list[float]]:
    """Return the figures of each bin, one a seed but collapsed ones; none where a run lacks an item."""
    metric, everything = comparison.metrics[name], frozenset().union(*(one.items for one in bins))
    lost = comparison.collapsed.get(variant.label, ())
    kept = [run for run in variant.runs if run.config.seed not in lost] or variant.runs
    by_run = [read_items(metric, rows[run.path]) for run in kept]
    if any(items is None or not everything <= set(items.ids) for items in by_run):
        return []
    whole = [items for items in by_run if items is not None]
    return [
        [
            float(
                items.value(items.sums_NF[[place for place, item in enumerate(items.ids) if item in one.items]].sum(0))
            )
            for items in whole
        ]
        for one in bins
    ]
