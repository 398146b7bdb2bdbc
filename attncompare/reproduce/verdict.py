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
_MOST_ABSENT = 8  # that are named; the records of older versions lack whole groups of figures
_ROW_COUNT = "number of logged rows"
# They follow from the metrics, which are judged on their own.
_FOLLOWING = (*FINAL[2:], *_TEST_FILES)


@dataclass(frozen=True)
class Facts:
    """A run as its record tells it; not every source holds everything.

    ``source`` is a folder or a W&B path; ``values`` the config as recorded; ``rows`` those of metrics; ``final`` what is
    known of :data:`FINAL`, ``predictions`` and ``items``; ``course`` the steps that a time budget gave, where there was one.
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
        return self.metric not in (*_FOLLOWING, _ROW_COUNT)

    def within(self, tolerance: float) -> bool:
        """Return whether it counts as equal: a metric by its size; what follows from the metrics always."""
        if self.metric in _FOLLOWING:
            return True
        return self.metric != _ROW_COUNT and self.relative is not None and self.relative <= tolerance

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, which knows neither NaN nor infinity."""
        infinite = {k: repr(v) for k, v in asdict(self).items() if isinstance(v, float) and not math.isfinite(v)}
        return {**asdict(self), **infinite, "relative": self.relative}


@dataclass(frozen=True)
class Comparison:
    """Two runs compared: their differences, in the order of training and then the final figures.

    What was compared, and what could not be and why, stands in words; the tolerance is relative.
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
        sized = [(math.inf if one.relative is None else one.relative, one) for one in self.differences if one.of_metric]
        found: dict[str, Difference] = {}
        for _, one in sorted(sized, key=lambda pair: pair[0], reverse=True):
            found.setdefault(one.metric, one)
        return list(found.values())


def compare(recorded: Facts, again: Facts, *, steps: int | None = None, tolerance: float = TOLERANCE) -> Comparison:
    """Compare two runs of one config as far as the record goes; what it lacks is named.

    ``steps``: only the rows up to this training step, and nothing of what comes after training; None: all.
    """
    before, now = ([row for row in run.rows if steps is None or row["step"] <= steps] for run in (recorded, again))
    columns = {column for row in before for column in row}
    missing = [column for row in now for column in row if before and column not in columns]
    differences = [
        Difference(column, int(old["step"]), old.get(column), new.get(column))
        for old, new in zip(before, now, strict=False)
        for column in dict.fromkeys([*old, *new])
        if column in columns and column not in MEASURED_BY_CLOCK and not _same(old.get(column), new.get(column))
    ]
    if len(before) != len(now):
        differences.append(Difference(_ROW_COUNT, None, len(before), len(now)))
    last = max((int(row["step"]) for row in before), default=0)
    compared = [f"{counted(len(before), 'row')} of metrics up to step {last}"]
    if steps is not None:
        left_out = f"anything after step {steps} (only {counted(steps, 'step')} asked for)"
        return Comparison(tuple(differences), tuple(compared), (*_absent(missing), left_out), tolerance)
    for key in (*FINAL, *_TEST_FILES):
        old, new = recorded.final.get(key), again.final.get(key)
        if old is None:
            missing.append(key)
            continue
        compared.append(key)
        if key in _TEST_FILES and old != (new or []):
            equal = sum(one == other for one, other in zip(old, new or [], strict=False))
            now_equal = f"{equal} equal among {counted(len(new or []), 'row')}"
            differences.append(Difference(key, None, counted(len(old), "row"), now_equal))
        elif isinstance(old, dict) and isinstance(new, dict):
            missing += [f"{key}/{metric}" for metric in new if metric not in old]
            pairs = [(f"{key}/{metric}", value, new.get(metric)) for metric, value in old.items()]
            differences += [Difference(name, None, *pair) for name, *pair in pairs if not _same(*pair)]
        elif key not in _TEST_FILES and not _same(old, new):
            differences.append(Difference(key, None, old, new))
    return Comparison(tuple(differences), tuple(compared), _absent(missing), tolerance)


def _absent(names: Sequence[str]) -> tuple[str, ...]:
    absent = [name for name in dict.fromkeys(names) if name not in MEASURED_BY_CLOCK]
    more = [f"{len(absent) - _MOST_ABSENT} more figures"] if len(absent) > _MOST_ABSENT else []
    return tuple(f"{name} (not in the record)" for name in (*absent[:_MOST_ABSENT], *more))


def _same(first: Any, second: Any) -> bool:
    both_nan = all(isinstance(value, float) and math.isnan(value) for value in (first, second))
    return both_nan or first == second


def _finite(value: Any) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return number if math.isfinite(number) else None
