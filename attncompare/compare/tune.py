"""``--tune KEY``: each variant gets the value that serves it best on val, before anything is compared on test.

To judge variants at one shared learning rate is to judge how well that rate suits each of them.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from attncompare.compare.gathering import LeftOut
from attncompare.compare.identity import fingerprint
from attncompare.compare.labels import labels
from attncompare.compare.options import is_free
from attncompare.config import RunConfig
from attncompare.errors import Refused
from attncompare.config.plain_values import flatten
from attncompare.registry import unknown
from attncompare.record import Run

# Not these: they say what is compared, with which data, or how a run is shown.
_FIXED = (
    *("seed", "data_seed", "name", "tags", "notes", "runs", "resume", "tracking."),
    *("attention.name", "attention.score", "attention.causal", "task.name", "task.max_length", "task.causal"),
    *("task.sample_prompts", "task.sample_tokens", "task.sample_temperature", "task.val_decodes"),
    *("backbone.name", "optimizer.name", "trainer.validate_every", "trainer.log_every", "trainer.limit_batches"),
    *("trainer.accelerator", "trainer.devices", "trainer.threads", "trainer.deterministic"),
)
_TUNED_DATA = ("data.batch_size", "data.batch_tokens")

Value = tuple[Any, ...]


@dataclass
class _Tried:
    """One variant: what each value reached, by seed, and the values of which a run failed."""

    runs: dict[str, dict[int, Run]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    values: dict[str, Value] = field(default_factory=dict)


def tune(
    runs: Sequence[Run], keys: Sequence[str], force: bool, left_out: Sequence[LeftOut]
) -> tuple[list[Run], list[str]]:
    """Return the runs of each variant's best value, by mean val loss over the same seeds, and what must be said of it.

    A value of which a run failed is never the best: its other seeds would be the lucky ones.

    Args:
        runs: finished runs of one task, each config once.
        keys: dotted keys of the config; their values are picked together.
        force: allow variants that were tried with different values.
        left_out: runs that did not finish; their values count as tried.

    Raises:
        Refused: if a key cannot be tuned or does not vary, if variants were tried with different values, or if no value
            of a variant can be picked.
    """
    for key in keys:
        _check(key, runs)
    tried = _tried(runs, keys, left_out)
    names = dict(zip(tried, _names(tried, keys), strict=True))
    _require_choice(tried, keys)
    _require_same_grid(tried, names, keys, force)
    chosen, told, notes = [], [], []
    for variant, one in tried.items():
        best, seeds = _best(one, names[variant], keys)
        chosen += [run for _, run in sorted(one.runs[best].items())]
        told.append(f"{names[variant]} {_shown(one.values[best])} (of {len(one.values)}, {_seeds(seeds)})")
        if at := _edge(one, best):
            notes.append(
                f"the best {', '.join(keys)} of {names[variant]} is the {at} that was tried: a better one may lie beyond"
            )
    first = f"{', '.join(keys)} was picked for each variant by mean val loss over the same seeds: {'; '.join(told)}"
    return chosen, [first, *notes]


def _check(key: str, runs: Sequence[Run]) -> None:
    flat = flatten(runs[0].config.to_dict())
    valid = [one for one in flat if not is_free(one, _FIXED) and (not one.startswith("data.") or one in _TUNED_DATA)]
    if key not in valid:
        why = "it cannot be tuned" if key in flat else unknown("key", key, valid)
        raise Refused(f"--tune {key}: {why}" if key not in flat else f"--tune {key}: {why}; valid: {', '.join(valid)}")
    if len({json.dumps(flatten(run.config.to_dict()).get(key)) for run in runs}) == 1:
        name = key.rpartition(".")[2]
        raise Refused(
            f"--tune {key}: every run has {name}={flat[key]}; train more values, for example with -m {key}=..., or leave "
            "it out"
        )


def _tried(runs: Sequence[Run], keys: Sequence[str], left_out: Sequence[LeftOut]) -> dict[str, _Tried]:
    tried: dict[str, _Tried] = {}
    for run in runs:
        variant, value = _split(run.config, fingerprint(run), keys)
        one = tried.setdefault(variant, _Tried())
        one.values[json.dumps(value)] = value
        one.runs.setdefault(json.dumps(value), {})[run.config.seed] = run
    for lost in left_out:
        if lost.config is None or lost.state != "failed":
            continue
        # Where it does not say on which data it failed, it counts for all.
        for data in {fingerprint(run) for run in runs} if lost.data is None else {lost.data}:
            variant, value = _split(lost.config, data, keys)
            if variant in tried:  # else nothing of this variant can be compared
                tried[variant].values[json.dumps(value)] = value
                tried[variant].failed.add(json.dumps(value))
    return tried


def _split(config: RunConfig, data: str | None, keys: Sequence[str]) -> tuple[str, Value]:
    """Return what all runs of a variant share, the fingerprint of their data too, and the values of ``keys``."""
    flat = flatten(config.settings())
    value = tuple(flat.pop(key, None) for key in keys)
    del flat["seed"]
    return json.dumps([flat, data], sort_keys=True), value


def _names(tried: dict[str, _Tried], keys: Sequence[str]) -> list[str]:
    firsts = [next(iter(next(iter(one.runs.values())).values())) for one in tried.values()]
    return labels(firsts, hidden=keys)


def _require_choice(tried: dict[str, _Tried], keys: Sequence[str]) -> None:
    if all(len(one.values) == 1 for one in tried.values()):
        raise Refused(
            f"--tune {', '.join(keys)}: every variant was tried with one value alone; train each with several, or leave "
            "it out"
        )


def _require_same_grid(tried: dict[str, _Tried], names: dict[str, str], keys: Sequence[str], force: bool) -> None:
    grids = {variant: sorted(one.values) for variant, one in tried.items()}
    if force or len({tuple(grid) for grid in grids.values()}) == 1:
        return
    told = "; ".join(f"{names[variant]} with {_grid(one)}" for variant, one in tried.items())
    raise Refused(
        f"--tune {', '.join(keys)}: the variants were tried with different values: {told}; train the missing ones, or "
        "--force picks from what there is"
    )


def _best(one: _Tried, name: str, keys: Sequence[str]) -> tuple[str, list[int]]:
    """Return the value with the lowest mean val loss, and the seeds that all candidates have."""
    candidates = {value: runs for value, runs in one.runs.items() if value not in one.failed}
    if not candidates:
        raise Refused(f"--tune {', '.join(keys)}: of each value of {name} a run failed, so none can be picked")
    seeds = set.intersection(*(set(runs) for runs in candidates.values()))
    if not seeds:
        told = "; ".join(f"{_shown(one.values[v])}: {_seeds(sorted(runs))}" for v, runs in candidates.items())
        raise Refused(
            f"--tune {', '.join(keys)}: the values of {name} have no seed in common: {told}; train the same seeds of each"
        )
    losses = {value: fmean(_val_loss(runs[seed]) for seed in sorted(seeds)) for value, runs in candidates.items()}
    best = min(losses, key=lambda value: losses[value])
    if math.isinf(losses[best]):
        raise Refused(f"--tune {', '.join(keys)}: no value of {name} has a val loss that is a number")
    return best, sorted(seeds)


def _val_loss(run: Run) -> float:
    """Return the val loss of the weights that were tested: the lowest; infinite where there is none."""
    losses = [row["val/loss"] for row in run.metrics() if "val/loss" in row and math.isfinite(row["val/loss"])]
    return min(losses, default=math.inf)


def _edge(one: _Tried, best: str) -> str | None:
    """Return where the best value stands if nothing was tried beyond it; only numbers have an edge."""
    values = [value[0] for value in one.values.values()]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(one.values[best]) != 1 or len(numbers) != len(values) or len(numbers) < 2:
        return None
    chosen = one.values[best][0]
    return "smallest" if chosen == min(numbers) else "largest" if chosen == max(numbers) else None


def _grid(one: _Tried) -> str:
    return ", ".join(_shown(value) for value in sorted(one.values.values(), key=repr))


def _shown(value: Value) -> str:
    return " and ".join(str(part) for part in value)


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
