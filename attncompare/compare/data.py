"""A comparison as plain data, for scripts: ``--json FILE``. Nothing is rounded; NaN and infinity are texts, as JSON has none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from attncompare.compare.axes import ATTENTION
from attncompare.compare.costs import cost_estimates, cost_notes
from attncompare.compare.groups import Comparison
from attncompare.compare.lengths import by_length
from attncompare.compare.one_seed import one_seed_notes
from attncompare.compare.verdicts import estimates, verdict_notes, verdicts
from attncompare.text import COSTS

FORMAT = 4


def as_data(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return all figures, estimates, differences and notes of ``comparisons`` as JSON values."""
    values: dict[str, Any] = _plain({"format": FORMAT, "comparisons": [_comparison(one) for one in comparisons]})
    return values


def _comparison(comparison: Comparison) -> dict[str, Any]:
    over_seeds, budget = {**estimates(comparison), **cost_estimates(comparison)}, comparison.budget
    variants = [
        {
            "label": variant.label,
            "same_as": variant.same_as,
            "attention": variant.runs[0].config.attention.model_dump(mode="json"),
            "runs": [
                {
                    "path": str(run.path),
                    "seed": run.config.seed,
                    "config_hash": run.config.hash(),
                    "figures": {name: comparison.figure(run, name) for name in (*comparison.metrics, *COSTS)},
                }
                for run in variant.runs
            ],
            "collapsed": comparison.collapsed.get(variant.label, ()),
            "estimates": {name: asdict(one) for (label, name), one in over_seeds.items() if label == variant.label},
        }
        for variant in comparison.variants
    ]
    found = [
        {
            "first": verdict.first.label,
            "second": verdict.second.label,
            "metric": verdict.metric.name,
            "higher_is_better": verdict.metric.higher_is_better,
            "decided": verdict.decided,
            "better": None if verdict.better is None else verdict.better.label,
            "same_model": verdict.same_model,
            "within_margin": verdict.within_margin,
            "difference": asdict(verdict.difference),
            "sentence": verdict.sentence,
        }
        for verdict in verdicts(comparison)
    ]
    return {
        "task": comparison.task,
        "split": "test" if budget is None else "val",
        "budget": None if budget is None else {"kind": budget.kind, "size": budget.size},
        "axes": {axis.key: len(axis.distinct) if axis.key == ATTENTION else axis.distinct for axis in comparison.axes},
        "options": asdict(comparison.options),
        "looks": [{"seeds": look.seeds, "spent": look.spent} for look in comparison.looks],
        "level": comparison.level,
        "exploratory": bool(comparison.exploratory),
        "tested_metrics": [metric.name for metric in comparison.tested],
        "variants": variants,
        "by_length": _by_length(comparison),
        "verdicts": found,
        "notes": (*one_seed_notes(comparison), *comparison.notes, *cost_notes(comparison), *verdict_notes(comparison)),
        "left_out": [{"path": str(one.path), "state": one.state, "reason": one.reason} for one in comparison.left_out],
    }


def _by_length(comparison: Comparison) -> dict[str, Any]:
    found = by_length(comparison)
    return {
        "unit": found.unit,
        "bins": [{"shortest": one.shortest, "longest": one.longest, "items": len(one.items)} for one in found.bins],
        "estimates": [
            {"label": label, "metric": name, "by_bin": [asdict(one) for one in each]}
            for (label, name), each in found.estimates.items()
        ],
    }


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON holds it; NaN and infinity become "nan", "inf" or "-inf"."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
