"""A comparison as plain data, for scripts: ``--json FILE``. Nothing is rounded; NaN and infinity are texts, as in JSON."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from attncompare.compare.groups import Comparison, Variant
from attncompare.compare.statistics import Estimate
from attncompare.compare.verdicts import Verdict, estimates, verdict_notes, verdicts
from attncompare.text import COSTS, METRICS

FORMAT = 1


def as_data(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return all figures, estimates, differences and notes of ``comparisons`` as JSON values."""
    values: dict[str, Any] = _plain({"format": FORMAT, "comparisons": [_comparison(one) for one in comparisons]})
    return values


def _comparison(comparison: Comparison) -> dict[str, Any]:
    by_variant = estimates(comparison)
    return {
        "task": comparison.task,
        "split": "test" if comparison.budget is None else "val",
        "budget": None
        if comparison.budget is None
        else {"kind": comparison.budget.kind, "size": comparison.budget.size},
        "options": dataclasses.asdict(comparison.options),
        "tested_metrics": comparison.tested,
        "variants": [_variant(comparison, variant, by_variant) for variant in comparison.variants],
        "verdicts": [_verdict(verdict) for verdict in verdicts(comparison)],
        "notes": (*comparison.notes, *verdict_notes(comparison)),
        "left_out": [{"path": str(one.path), "state": one.state, "reason": one.reason} for one in comparison.left_out],
    }


def _variant(
    comparison: Comparison, variant: Variant, by_variant: Mapping[tuple[str, str], Estimate]
) -> dict[str, Any]:
    keys = [key for key, metric in {**METRICS, **COSTS}.items() if comparison.task in metric.tasks]
    return {
        "label": variant.label,
        "same_as": variant.same_as,
        "attention": variant.runs[0].config.attention.model_dump(mode="json"),
        "runs": [
            {
                "path": str(run.path),
                "seed": run.config.seed,
                "config_hash": run.config.hash(),
                "figures": {key: comparison.figure(run, key) for key in keys},
            }
            for run in variant.runs
        ],
        "estimates": {
            key: dataclasses.asdict(estimate) for (label, key), estimate in by_variant.items() if label == variant.label
        },
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "first": verdict.first.label,
        "second": verdict.second.label,
        "metric": verdict.metric.key,
        "higher_is_better": verdict.metric.higher_is_better,
        "decided": verdict.decided,
        "better": None if verdict.better is None else verdict.better.label,
        "same_model": verdict.same_model,
        "difference": dataclasses.asdict(verdict.difference),
        "sentence": verdict.sentence,
    }


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON holds it; what JSON has no number for becomes "nan", "inf" or "-inf"."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
