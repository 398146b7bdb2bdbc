"""Seeds of a variant that ended in no number: to judge it by those that survived would favor it."""

import re

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.identity import fingerprint, model_without_seed

# As a run that stopped there says it in its record.
_NO_NUMBER = re.compile(r"\b(?:loss|gradient|gradient's norm) is (?:nan|[+-]?inf)\b", re.IGNORECASE)


def diverged_seeds(comparison: Comparison, variant: Variant) -> tuple[int, ...]:
    """Return the seeds, ascending, whose run of ``variant`` failed because loss or gradient was no number."""
    first = variant.runs[0]
    model, data = model_without_seed(first.config), fingerprint(first)
    seeds = {
        one.config.seed
        for one in comparison.left_out
        if one.config is not None
        and one.state == "failed"
        and _NO_NUMBER.search(one.reason)
        and one.data in (None, data)
        and model_without_seed(one.config) == model
    }
    return tuple(sorted(seeds.difference(variant.seeds)))


def told(comparison: Comparison, variant: Variant) -> str | None:
    """Return in words which seeds of ``variant`` diverged, "seed 7 of dot diverged"; None where none did."""
    seeds = diverged_seeds(comparison, variant)
    if not seeds:
        return None
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} of {variant.label} diverged"
