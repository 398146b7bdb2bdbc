"""``--equal parameters``: of each variant the one size with which all have about as many parameters."""

import json
from collections.abc import Sequence
from statistics import median

from attncompare.compare.identity import fingerprint
from attncompare.compare.labels import labels
from attncompare.compare.options import SIZES
from attncompare.errors import Refused
from attncompare.text import COSTS
from attncompare.config.plain_values import flatten
from attncompare.record import Run

WITHIN = 0.02
"""How far the largest may be above the smallest."""

Size = tuple[int, str]  # its parameters, and the settings that make it
Sizes = dict[Size, list[Run]]


def equal_parameters(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Return the runs of one size of each variant, all within 2 % of each other's parameters, and what was left out.

    The size is the one at which most variants can be compared; among several such, the largest.

    Args:
        runs: finished runs of one task, each config once.

    Raises:
        Refused: if a record lacks its number of parameters, or no two variants are that close.
    """
    variants = _by_variant(runs)
    names = dict(zip(variants, _names(variants), strict=True))
    low = _budget(variants)
    near = {name: _within(sizes, low) for name, sizes in variants.items()}
    if len(variants) > 1 and sum(bool(sizes) for sizes in near.values()) < 2:
        told = "; ".join(
            f"{names[one]} {' or '.join(_shown(n) for n, _ in sorted(sizes))}" for one, sizes in variants.items()
        )
        raise Refused(
            f"--equal parameters: no two variants have parameters within {WITHIN:.0%} of each other: {told}; train other "
            f"sizes ({', '.join(SIZES)})"
        )
    target = median(count for sizes in near.values() for count, _ in sizes)
    chosen: list[Run] = []
    left: list[str] = []
    for variant, sizes in variants.items():
        best = min(near[variant], key=lambda size: abs(size[0] - target), default=None)
        chosen += sizes[best] if best is not None else []
        left += [f"{names[variant]} with {_shown(size[0])}" for size in sorted(sizes) if size != best]
    note = f"compared at equal parameters: {_shown(target)}, within {WITHIN:.0%} of each other"
    return chosen, [f"{note}; left out: {', '.join(left)}" if left else note]


def _by_variant(runs: Sequence[Run]) -> dict[str, Sizes]:
    variants: dict[str, Sizes] = {}
    for run in runs:
        flat = flatten(run.config.settings())
        size = (_parameters(run), json.dumps([flat.pop(key) for key in SIZES]))
        del flat["seed"]
        variants.setdefault(json.dumps([flat, fingerprint(run)], sort_keys=True), {}).setdefault(size, []).append(run)
    return variants


def _parameters(run: Run) -> int:
    count = run.summary["cost"].get("parameters")
    if not isinstance(count, int):
        raise Refused(f"--equal parameters: {run.path} does not tell its number of parameters")
    return count


def _names(variants: dict[str, Sizes]) -> list[str]:
    return labels([next(iter(sizes.values()))[0] for sizes in variants.values()], hidden=SIZES)


def _budget(variants: dict[str, Sizes]) -> int:
    """Return the smallest count of the range that holds most variants; of several, the highest."""
    counts = {count for sizes in variants.values() for count, _ in sizes}
    return max(counts, key=lambda low: (sum(bool(_within(sizes, low)) for sizes in variants.values()), low))


def _within(sizes: Sizes, low: int) -> list[Size]:
    return [size for size in sizes if low <= size[0] <= low * (1 + WITHIN)]


def _shown(count: float) -> str:
    return f"{COSTS['parameters'].format(count)} parameters"
