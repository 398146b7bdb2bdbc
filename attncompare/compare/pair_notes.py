"""What must be said of pairs that are tested on less than there is, or not at all."""

from collections.abc import Iterable, Mapping, Sequence

from attncompare.compare.diverged import told
from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.statistics import Difference
from attncompare.text import METRICS
from attncompare.record import Run


def diverged_notes(comparison: Comparison) -> list[str]:
    """Return for each variant with diverged seeds what its row is, and that it is not tested."""
    found = [told(comparison, variant) for variant in comparison.ranked]
    return [f"{one}: the row is the mean of the others, and its pairs are not tested" for one in found if one]


def missing_notes(missing: Mapping[str, Sequence[Run]]) -> list[str]:
    """Return for each metric key which runs lack it."""
    notes = []
    for key, runs in missing.items():
        more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
        notes.append(f"{METRICS[key].title} is missing in {runs[0].path}{more}: such variants are not tested in it")
    return notes


def unused_notes(pairs: Iterable[tuple[Variant, Variant, Difference]]) -> list[str]:
    """Return which seeds of a variant have no partner in others and so take no part in those pairs."""
    partners: dict[tuple[str, tuple[int, ...]], dict[str, None]] = {}
    for first, second, found in pairs:
        if not found.paired:
            continue
        for one, other in ((first, second), (second, first)):
            unused = tuple(sorted(set(one.seeds) - set(other.seeds)))
            if unused:
                partners.setdefault((one.label, unused), {})[other.label] = None
    return [
        f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} of {label} "
        f"{'are' if len(seeds) > 1 else 'is'} not used beside {', '.join(others)}: no run there has the same seed"
        for (label, seeds), others in partners.items()
    ]
