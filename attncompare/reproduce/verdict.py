"""Where two runs of one config diverge, by how much, and what that amounts to."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from attncompare.text import counted, printable, shortly

Verdict = Literal["identical", "equal within tolerance", "different"]
TOLERANCE = 1e-3
"""Relative difference up to which two metrics count as equal, unless another one is asked for."""
MEASURED_BY_CLOCK = ("train/tokens_per_second", "train/seconds")
FINAL = ("val", "test", "steps", "best_step", "weights_sha256", "training_state_sha256")
"""What a summary holds of the end of a run, in the order in which it is compared."""
_TEST_FILES = ("predictions", "items")
ROW_COUNT = "number of logged rows"
# They follow from the metrics, which are judged on their own.
_FOLLOWING = ("steps", "best_step", "weights_sha256", "training_state_sha256", *_TEST_FILES)


@dataclass(frozen=True)
class Facts:
    """A run as its record tells it; not every source holds everything.

    Attributes:
        source: where it was found, for people: a folder, or a W&B path.
        state: running, finished, failed or interrupted.
        values: its config as plain nested dicts, as recorded.
        environment: what ``environment.json`` holds, or some of it.
        rows: the rows of metrics in order.
        final: those of :data:`FINAL` that are known, and the rows of ``predictions`` and ``items``.
        course: the steps that a time budget gave; None: it had none, or they are not known.
    """

    source: str
    state: str
    values: dict[str, Any]
    environment: dict[str, Any]
    rows: list[dict[str, float]]
    final: dict[str, Any]
    course: dict[str, int] | None = None


@dataclass(frozen=True)
class Difference:
    """One place where two runs diverge: a metric at a training step (None: not of a step), and its two values."""

    metric: str
    step: int | None
    recorded: Any
    reproduced: Any

    def __str__(self) -> str:
        where = "" if self.step is None else f" at step {self.step}"
        values = f"{shortly(self.recorded)} in the record, {shortly(self.reproduced)} now"
        return printable(f"{self.metric}{where}: {values}")

    @property
    def relative(self) -> float | None:
        """The difference as a share of the larger value, or None where the two are not finite numbers."""
        recorded, reproduced = _finite(self.recorded), _finite(self.reproduced)
        if recorded is None or reproduced is None:
            return None
        largest = max(abs(recorded), abs(reproduced))
        return abs(recorded / largest - reproduced / largest) if largest else 0.0

    @property
    def of_metric(self) -> bool:
        """Whether it is one of a metric, which has a size; hashes, steps and texts have none."""
        return self.metric not in (*_FOLLOWING, ROW_COUNT)

    def within(self, tolerance: float) -> bool:
        """Return whether it counts as equal: a metric by its size; what follows from the metrics always."""
        if self.metric in _FOLLOWING:
            return True
        return self.metric != ROW_COUNT and self.relative is not None and self.relative <= tolerance

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, which knows neither NaN nor infinity."""
        values = {key: repr(value) if _infinite(value) else value for key, value in asdict(self).items()}
        return {**values, "relative": self.relative}


@dataclass(frozen=True)
class Comparison:
    """Two runs compared.

    Attributes:
        differences: in the order of training, then the final figures.
        compared: what was, in words.
        not_compared: what could not be, in words, with the reason.
        tolerance: relative.
    """

    differences: tuple[Difference, ...]
    compared: tuple[str, ...]
    not_compared: tuple[str, ...]
    tolerance: float

    @property
    def verdict(self) -> Verdict:
        """What it amounts to."""
        if not self.differences:
            return "identical"
        return "different" if self.first_beyond else "equal within tolerance"

    @property
    def first(self) -> Difference | None:
        """Where the runs first diverge, however little."""
        return self.differences[0] if self.differences else None

    @property
    def first_beyond(self) -> Difference | None:
        """Where they first diverge by more than the tolerance."""
        return next((one for one in self.differences if not one.within(self.tolerance)), None)

    def largest(self) -> list[Difference]:
        """Return the largest difference of each metric that differs, largest first; NaN and infinity come before all."""
        found: dict[str, Difference] = {}
        for one in sorted(filter(lambda one: one.of_metric, self.differences), key=_size, reverse=True):
            found.setdefault(one.metric, one)
        return list(found.values())


def compare(recorded: Facts, again: Facts, *, steps: int | None = None, tolerance: float = TOLERANCE) -> Comparison:
    """Compare two runs of one config as far as the record goes; what it lacks is named.

    Args:
        recorded: what was.
        again: what is now.
        steps: only the rows up to this training step, and nothing of what comes after training; None: all.
        tolerance: relative difference up to which two metrics count as equal.
    """
    before, now = ([row for row in run.rows if steps is None or row["step"] <= steps] for run in (recorded, again))
    columns = {column for row in before for column in row}
    missing = [column for row in now for column in row if before and column not in columns]
    differences = _row_differences(before, now, columns)
    last = max((int(row["step"]) for row in before), default=0)
    compared = [f"{counted(len(before), 'row')} of metrics up to step {last}"]
    if steps is not None:
        left_out = [f"anything after step {steps} (only {counted(steps, 'step')} asked for)"]
        return Comparison(tuple(differences), tuple(compared), (*_absent(missing), *left_out), tolerance)
    old, new = recorded.final, again.final
    for key in (*FINAL, *_TEST_FILES):
        if old.get(key) is None:
            missing.append(key)
            continue
        compared.append(key)
        if key in _TEST_FILES:
            differences += _file_difference(key, old[key], new.get(key) or [])
        elif isinstance(old[key], dict) and isinstance(new.get(key), dict):
            missing += [f"{key}/{metric}" for metric in new[key] if metric not in old[key]]
            differences += [
                Difference(f"{key}/{metric}", None, value, new[key].get(metric))
                for metric, value in old[key].items()
                if not _same(value, new[key].get(metric))
            ]
        elif not _same(old[key], new.get(key)):
            differences.append(Difference(key, None, old[key], new.get(key)))
    return Comparison(tuple(differences), tuple(compared), tuple(_absent(missing)), tolerance)


def _row_differences(
    before: list[dict[str, float]], now: list[dict[str, float]], columns: set[str]
) -> list[Difference]:
    found = [
        Difference(column, int(old["step"]), old.get(column), new.get(column))
        for old, new in zip(before, now, strict=False)
        for column in dict.fromkeys([*old, *new])
        if column in columns and column not in MEASURED_BY_CLOCK and not _same(old.get(column), new.get(column))
    ]
    if len(before) != len(now):
        found.append(Difference(ROW_COUNT, None, len(before), len(now)))
    return found


def _file_difference(key: str, old: list[Any], new: list[Any]) -> list[Difference]:
    if old == new:
        return []
    equal = sum(first == second for first, second in zip(old, new, strict=False))
    return [Difference(key, None, counted(len(old), "row"), f"{equal} equal among {counted(len(new), 'row')}")]


def _absent(names: Sequence[str]) -> list[str]:
    return [f"{name} (not in the record)" for name in dict.fromkeys(names) if name not in MEASURED_BY_CLOCK]


def _same(first: Any, second: Any) -> bool:
    both_nan = all(isinstance(value, float) and math.isnan(value) for value in (first, second))
    return both_nan or first == second


def _size(difference: Difference) -> float:
    return math.inf if difference.relative is None else difference.relative


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _finite(value: Any) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return number if math.isfinite(number) else None
