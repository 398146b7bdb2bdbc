"""The same run again, from its own record, and whether it gives the same numbers."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from attncompare.compare.checks import flatten
from attncompare.errors import Refused
from attncompare.tracking.record import Run

Verdict = Literal["identical", "equal within tolerance", "different"]
RELATIVE_TOLERANCE = 1e-3
# What a clock measures differs from run to run.
MEASURED_BY_CLOCK = ("train/tokens_per_second",)


@dataclass(frozen=True)
class Difference:
    """One place where two runs part: a metric at a training step (``None``: after training), and its two values."""

    metric: str
    step: int | None
    recorded: Any
    reproduced: Any

    def __str__(self) -> str:
        where = "after training" if self.step is None else f"at step {self.step}"
        return f"{self.metric} {where}: {self.recorded} in the record, {self.reproduced} now"


@dataclass(frozen=True)
class Reproduction:
    """What came out of training again: the verdict, where the numbers first part, and what else is not the same."""

    verdict: Verdict
    first: Difference | None
    environment: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"verdict: {self.verdict}"]
        match self.verdict:
            case "identical":
                lines[0] += " (all metrics and the final weights, bit for bit)"
            case "equal within tolerance":
                lines[0] += f" (every metric within {RELATIVE_TOLERANCE:.1%} of the recorded one)"
        if self.first:
            lines.append(f"first difference: {self.first}")
        lines += [f"environment: {line}" for line in self.environment]
        return "\n".join(lines)


def compare_runs(recorded: Run, reproduced: Run) -> Reproduction:
    """Hold two finished runs of one config against each other."""
    differences = _differences(recorded, reproduced)
    changed = tuple(environment_differences(recorded.environment(), reproduced.environment()))
    if not differences:
        return Reproduction("identical", None, changed)
    beyond = [difference for difference in differences if not _close(difference)]
    if beyond:
        return Reproduction("different", beyond[0], changed)
    return Reproduction("equal within tolerance", differences[0], changed)


def environment_differences(recorded: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """Return in words what differs between two environments: machine, versions, code, data."""
    recorded, current = flatten(recorded), flatten(current)
    lines = []
    for key in sorted(recorded.keys() | current.keys()):
        before, now = recorded.get(key), current.get(key)
        if before != now:
            text = "differs" if key == "git.diff" else f"{before or 'none'} in the record, {now or 'none'} now"
            lines.append(f"{key}: {text}")
    return lines


def recorded_threads(run: Run) -> int:
    """Return the thread count with which the run was made: with another one, sums are rounded in another order."""
    threads = run.environment().get("threads")
    if not isinstance(threads, int) or threads < 1:
        raise Refused(f"{run.path / 'environment.json'}: threads={threads} is not a number of threads")
    return threads


def reproduce(path: Path, on_progress: Any, on_folder: Any) -> Reproduction:
    """Train the run in ``path`` again from its record, into a new folder, and compare.

    Args:
        path: the folder of a finished run.
        on_progress: told where the new run stands.
        on_folder: told the new run's folder.

    Raises:
        Refused: if the folder is no finished run.
    """
    recorded = Run.open(path).require_finished()
    config, threads = recorded.config, recorded_threads(recorded)
    from attncompare.train import train

    again = train(config, [f"reproduce={path}"], threads=threads, on_progress=on_progress, on_folder=on_folder)
    return compare_runs(recorded, again)


def _differences(recorded: Run, reproduced: Run) -> list[Difference]:
    found = []
    before, now = recorded.metrics(), reproduced.metrics()
    for old, new in zip(before, now, strict=False):
        found += [
            Difference(metric, int(old["step"]), old.get(metric), new.get(metric))
            for metric in _different(old, new)
            if metric not in MEASURED_BY_CLOCK
        ]
    if len(before) != len(now):
        found.append(Difference("number of logged rows", None, len(before), len(now)))
    for part in ("val", "test"):
        old, new = recorded.summary[part], reproduced.summary[part]
        found += [
            Difference(f"{part}/{metric}", None, old.get(metric), new.get(metric)) for metric in _different(old, new)
        ]
    for key in ("weights_sha256", "best_step"):
        if recorded.summary[key] != reproduced.summary[key]:
            found.append(Difference(key, None, recorded.summary[key], reproduced.summary[key]))
    if recorded.predictions() != reproduced.predictions():
        found.append(Difference("predictions", None, "recorded ones", "others"))
    return found


def _different(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [key for key in dict.fromkeys([*old, *new]) if not _same(old.get(key), new.get(key))]


def _same(first: Any, second: Any) -> bool:
    both_nan = all(isinstance(value, float) and math.isnan(value) for value in (first, second))
    return both_nan or first == second


def _close(difference: Difference) -> bool:
    """Whether a difference is small; texts and hashes follow from the metrics, which are judged on their own."""
    if difference.metric in ("weights_sha256", "best_step", "predictions"):
        return True
    before, now = difference.recorded, difference.reproduced
    if (
        not isinstance(before, int | float)
        or not isinstance(now, int | float)
        or difference.metric.startswith("number")
    ):
        return False
    return abs(before - now) <= RELATIVE_TOLERANCE * max(abs(before), abs(now))
