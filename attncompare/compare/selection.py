"""Which runs of each variant are compared: at its best learning rate, at equal parameters, or at an equal budget."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

from attncompare.compare.checks import SIZES, Options, is_free
from attncompare.compare.gathering import LeftOut
from attncompare.compare.identity import fingerprint, labels, named_seeds
from attncompare.config import RunConfig
from attncompare.config.plain_values import flatten
from attncompare.errors import Refused
from attncompare.record import Run
from attncompare.registry import unknown
from attncompare.tasks.metrics import Metric, metric
from attncompare.text import COSTS, engineering

WITHIN = 0.02
"""``--equal parameters``: how far the largest may be above the smallest."""
# What --tune cannot pick: it says what is compared, with which data, how it is measured, or how a run is shown.
_FIXED = (
    *("seed", "data_seed", "name", "tags", "notes", "runs", "resume", "tracking."),
    *("attention.name", "attention.score", "attention.score.name", "attention.causal", "backbone.name"),
    *("optimizer.name", "task.name", "task.metrics", "task.max_length", "task.causal"),
    *("trainer.monitor", "trainer.validate_every", "trainer.log_every", "trainer.limit_batches"),
    *("trainer.accelerator", "trainer.devices", "trainer.threads", "trainer.deterministic"),
)
_TUNED_DATA = ("data.batch_size", "data.batch_tokens")
_SPENT = {"flops": "train/tokens", "time": "train/seconds"}
_ROUNDING = 1e-9  # relative: a run's own total must lie within itself


def _split(config: RunConfig, data: str | None, keys: Sequence[str], vary: Sequence[str]) -> tuple[str, str]:
    """Return what all runs of a variant share, the fingerprint of their data too, and the values of ``keys``; as JSON.

    ``vary``: the keys that differ between its seeds.
    """
    flat = flatten(config.settings())
    value = json.dumps([flat.pop(key, None) for key in keys])
    for varied in vary:
        flat.pop(varied, None)
    return json.dumps([flat, data], sort_keys=True), value


def _named(
    variants: Mapping[str, Any], runs: Sequence[Run], keys: Sequence[str], vary: Sequence[str]
) -> dict[str, str]:
    """Return what each of ``variants``, as :func:`_split` gives them, is called."""
    firsts = {_split(run.config, fingerprint(run), keys, vary)[0]: run for run in reversed(runs)}
    return dict(zip(variants, labels([firsts[one] for one in variants], hidden=(*keys, *vary)), strict=True))


Tried = dict[str, dict[int, Run | None]]  # value -> seed -> run; None: it failed


def tune(
    runs: Sequence[Run], options: Options, force: bool, left_out: Sequence[LeftOut]
) -> tuple[list[Run], dict[Path, tuple[float, ...]], list[str]]:
    """Return the runs of each variant's best values of ``options.tune``, by the mean of the monitored metric on val, and notes.

    Between them stand, for each of these runs by its path, the mean figures on val of all values that were tried.

    To judge variants at one shared learning rate is to judge how well that rate suits each of them. A value of which a
    run failed is never the best: its other seeds would be the lucky ones. ``runs`` are of one task, each config once;
    with ``force`` variants may have been tried with different values.

    Raises:
        Refused: if a key cannot be tuned or does not vary, if variants were tried with different values, or if no value
            of a variant can be picked.
    """
    keys, vary, monitor = options.tune, options.vary, metric(runs[0].config.trainer.monitor)
    for key in keys:
        _require_tunable(key, runs)
    tried: dict[str, Tried] = {}
    for run in runs:
        variant, value = _split(run.config, fingerprint(run), keys, vary)
        tried.setdefault(variant, {}).setdefault(value, {})[run.config.seed] = run
    for lost in left_out:
        # Where it does not say on which data it failed, it counts for all.
        for data in {fingerprint(run) for run in runs} if lost.data is None else {lost.data}:
            if lost.config is not None and lost.state == "failed":
                variant, value = _split(lost.config, data, keys, vary)
                if variant in tried:  # else nothing of this variant can be compared
                    tried[variant].setdefault(value, {})[lost.config.seed] = None
    names, what = _named(tried, runs, keys, vary), ", ".join(keys)
    if all(len(values) == 1 for values in tried.values()):
        why = "every variant was tried with one value alone"
        raise Refused(f"--tune {what}: {why}; train each with several, or leave it out")
    if not force and len({tuple(sorted(values)) for values in tried.values()}) > 1:
        told = "; ".join(f"{names[one]} with {', '.join(map(_shown, sorted(values)))}" for one, values in tried.items())
        why = f"the variants were tried with different values: {told}"
        raise Refused(f"--tune {what}: {why}; train the missing ones, or --force picks from what there is")
    chosen, picked, notes = [], [], []
    found: dict[Path, tuple[float, ...]] = {}
    for variant, values in tried.items():
        means, seeds = _means(values, monitor, names[variant], f"--tune {what}")
        best = (max if monitor.higher_is_better else min)(means, key=lambda value: means[value])
        own = [run for _, run in sorted(values[best].items()) if run is not None]
        chosen += own
        found |= dict.fromkeys([run.path for run in own], tuple(means.values()))
        picked.append(f"{names[variant]} {_shown(best)} (of {len(values)}, {named_seeds(seeds)})")
        if len(keys) == 1 and len(values) > 1:
            numbers, (own,) = [json.loads(value)[0] for value in values], json.loads(best)
            if all(type(one) in (int, float) for one in numbers) and own in (min(numbers), max(numbers)):
                at = "smallest" if own == min(numbers) else "largest"
                best_of = f"the best {what} of {names[variant]}"
                notes.append(f"{best_of} is the {at} that was tried: a better one may lie beyond")
    first = f"{what} was picked for each variant by mean val {monitor.title} over the same seeds: {'; '.join(picked)}"
    if len({len(values) for values in tried.values()}) > 1:
        fresh = "the best of more values is better by chance too: train the picked values again from fresh seeds"
        notes.append(f"not all variants had as many values of {what}; {fresh}, and compare those")
    return chosen, found, [first, *notes]


def _require_tunable(key: str, runs: Sequence[Run]) -> None:
    flat = flatten(runs[0].config.to_dict())
    valid = [one for one in flat if not is_free(one, _FIXED) and (not one.startswith("data.") or one in _TUNED_DATA)]
    if key not in flat:
        raise Refused(f"--tune {key}: {unknown('key', key, valid)}")
    if key not in valid:
        raise Refused(f"--tune {key}: it cannot be tuned; valid: {', '.join(valid)}")
    if len({json.dumps(flatten(run.config.to_dict()).get(key)) for run in runs}) == 1:
        why = f"every run has {key.rpartition('.')[2]}={flat[key]}"
        raise Refused(f"--tune {key}: {why}; train more values, for example with -m {key}=..., or leave it out")


def _means(values: Tried, monitor: type[Metric], name: str, what: str) -> tuple[dict[str, float], list[int]]:
    """Return the mean val ``monitor`` of each value that can be picked, one at least finite, over the seeds that all have."""
    candidates = {
        value: {seed: run for seed, run in runs.items() if run}
        for value, runs in values.items()
        if None not in runs.values()
    }
    if not candidates:
        raise Refused(f"{what}: of each value of {name} a run failed, so none can be picked")
    seeds = sorted(set.intersection(*map(set, candidates.values())))
    if not seeds:
        told = "; ".join(f"{_shown(value)}: {named_seeds(sorted(runs))}" for value, runs in candidates.items())
        raise Refused(f"{what}: the values of {name} have no seed in common: {told}; train the same seeds of each")
    means = {value: fmean(_best_on_val(runs[seed], monitor) for seed in seeds) for value, runs in candidates.items()}
    if all(map(math.isinf, means.values())):
        raise Refused(f"{what}: no value of {name} has a finite val {monitor.title}")
    return means, seeds


def _best_on_val(run: Run, monitor: type[Metric]) -> float:
    """Return the best ``monitor`` on val, that of the weights that were tested; infinitely bad where there is none."""
    column = f"val/{monitor.name}"
    found = [row[column] for row in run.metrics() if math.isfinite(row.get(column, math.inf))]
    return max(found, default=-math.inf) if monitor.higher_is_better else min(found, default=math.inf)


def _shown(value: str) -> str:
    return " and ".join(map(str, json.loads(value)))


Size = tuple[float, str]  # its parameters, and the settings that make it


def equal_parameters(runs: Sequence[Run], vary: Sequence[str]) -> tuple[list[Run], list[str]]:
    """Return the runs of one size of each variant, all within 2 % of each other's parameters, and what was left out.

    The size is the one at which most variants can be compared; among several such, the largest. ``runs`` are of one task,
    each config once.

    Raises:
        Refused: if a record lacks its number of parameters, or no two variants are that close.
    """
    variants: dict[str, dict[Size, list[Run]]] = {}
    for run in runs:
        count = run.summary["cost"].get("parameters")
        if count is None:
            raise Refused(f"--equal parameters: {run.path} does not say its number of parameters")
        variant, size = _split(run.config, fingerprint(run), SIZES, vary)
        variants.setdefault(variant, {}).setdefault((count, size), []).append(run)
    names = _named(variants, runs, SIZES, vary)

    def within(low: float) -> dict[str, list[Size]]:
        top = low * (1 + WITHIN)
        return {one: [size for size in sizes if low <= size[0] <= top] for one, sizes in variants.items()}

    # The smallest count of the range that holds most variants; of several, the highest.
    counts = {count for sizes in variants.values() for count, _ in sizes}
    near = within(max(counts, key=lambda low: (sum(map(bool, within(low).values())), low)))
    if len(variants) > 1 and sum(map(bool, near.values())) < 2:
        told = [
            f"{names[one]} {' or '.join(_parameters(n) for n, _ in sorted(sizes))}" for one, sizes in variants.items()
        ]
        raise Refused(
            f"--equal parameters: no two variants have parameters within {WITHIN:.0%} of each other: {'; '.join(told)}; "
            f"train other sizes ({', '.join(SIZES)})"
        )
    target = median(count for sizes in near.values() for count, _ in sizes)
    chosen: list[Run] = []
    left: list[str] = []
    for one, sizes in variants.items():
        best = min(near[one], key=lambda size: abs(size[0] - target), default=None)
        chosen += sizes[best] if best is not None else []
        left += [f"{names[one]} with {_parameters(size[0])}" for size in sorted(sizes) if size != best]
    note = f"compared at equal parameters: {_parameters(target)}, within {WITHIN:.0%} of each other"
    return chosen, [f"{note}; left out: {', '.join(left)}" if left else note]


def _parameters(count: float) -> str:
    return f"{COSTS['parameters'].format(count)} parameters"


@dataclass(frozen=True)
class Budget:
    """A training budget, and the val figures of each run at its last validation within it.

    Test is read once, at the end of a run, which lies at another budget. ``size`` is in FLOPs, or in seconds of training
    without validations; ``figures`` are metrics by bare name, by the run's path.
    """

    kind: Literal["flops", "time"]
    size: float
    figures: Mapping[Path, Mapping[str, float]]
    steps: Sequence[int]

    @property
    def shown(self) -> str:
        """The budget for people: "312 s of training"."""
        return f"{engineering(self.size)} training FLOPs" if self.kind == "flops" else f"{self.size:.0f} s of training"

    @property
    def notes(self) -> list[str]:
        """What must be said of figures taken before a run's end."""
        low, high = min(self.steps), max(self.steps)
        when = f"step {low}" if low == high else f"steps {low} to {high}"
        return [
            f"compared at equal {'FLOPs' if self.kind == 'flops' else 'time'}: figures of val, not of test, at each "
            f"run's last validation within {self.shown}, which all runs reached ({when})",
            "a run that is cut off there has not come to the end of its learning-rate schedule",
        ]


def at_budget(runs: Sequence[Run], kind: Literal["flops", "time"]) -> Budget:
    """Return what ``runs`` had reached at the largest budget that all of them reached.

    Raises:
        Refused: if a record does not say what its training had cost by then, or has no validation within the budget.
    """
    spent = {run.path: _validations(run, kind) for run in runs}
    size = min(rows[-1][0] for rows in spent.values())
    figures, steps = {}, []
    for path, rows in spent.items():
        within = [row for cost, row in rows if cost <= size * (1 + _ROUNDING)]
        if not within:
            raise Refused(
                f"--equal {kind}: {path} was first validated at step {rows[0][1]['step']}, beyond the budget that all runs "
                "reached; train with a smaller trainer.validate_every"
            )
        figures[path] = {key.removeprefix("val/"): value for key, value in within[-1].items() if key.startswith("val/")}
        steps.append(int(within[-1]["step"]))
    return Budget(kind, size, figures, steps)


def _validations(run: Run, kind: str) -> list[tuple[float, dict[str, float]]]:
    """Return each validation of ``run`` with what training had cost until then, in order."""
    column, factor, again = _SPENT[kind], 1.0, "train it again with this version"
    rows, lacking = [row for row in run.metrics() if "val/loss" in row], ""
    if kind == "flops":
        factor = run.summary["cost"].get("train_flops_per_token") or 0.0
        lacking = "" if factor > 0 else "no cost.train_flops_per_token in summary.json"
    if not rows or any(column not in row for row in rows):
        lacking = f"no {column} in metrics.csv"
    if lacking:
        raise Refused(f"--equal {kind}: {run.path} does not say what its training had cost ({lacking}); {again}")
    return [(row[column] * factor, row) for row in rows]
