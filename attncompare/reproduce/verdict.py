"""Where two runs of one config part, by how much, and what that amounts to."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from attncompare.text import counted
from attncompare.reproduce.facts import FINAL, Facts
from attncompare.text import printable, shortly

Verdict = Literal["identical", "equal within tolerance", "different"]
TOLERANCE = 1e-3
"""Relative difference up to which two metrics count as equal, unless another one is asked for."""
# What a clock measures differs from run to run.
MEASURED_BY_CLOCK = ("train/tokens_per_second", "train/seconds")
# They follow from the metrics, which are judged on their own.
_FOLLOWING = ("steps", "best_step", "weights_sha256", "training_state_sha256", "predictions")
_NEWER = ("ter",)  # metrics that older records lack
ROW_COUNT = "number of logged rows"


@dataclass(frozen=True)
class Difference:
    """One place where two runs part: a metric at a training step (None: not of a step), and its two values."""

    metric: str
    step: int | None
    recorded: Any
    reproduced: Any

    def __str__(self) -> str:
        after = " after training" if self.metric.startswith(("val/", "test/")) else ""
        where = after if self.step is None else f" at step {self.step}"
        values = f"{shortly(self.recorded)} in the record, {shortly(self.reproduced)} now"
        return printable(f"{self.metric}{where}: {values}")

    @property
    def relative(self) -> float | None:
        """Return the difference as a share of the larger value, or None where the two are no numbers."""
        recorded, reproduced = _finite(self.recorded), _finite(self.reproduced)
        if recorded is None or reproduced is None:
            return None
        largest = max(abs(recorded), abs(reproduced))
        return abs(recorded / largest - reproduced / largest) if largest else 0.0

    @property
    def has_size(self) -> bool:
        """Return whether it is one of a metric, which is larger or smaller than another difference of it."""
        texts = any(isinstance(value, str) for value in (self.recorded, self.reproduced))
        return not texts and self.metric not in (*_FOLLOWING, ROW_COUNT)

    def within(self, tolerance: float) -> bool:
        """Return whether it counts as equal: a metric by its size; hashes and texts follow from the metrics."""
        if self.metric in _FOLLOWING:
            return True
        return self.metric != ROW_COUNT and self.relative is not None and self.relative <= tolerance


@dataclass(frozen=True)
class Comparison:
    """Two runs held against each other.

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
        """Return what it amounts to."""
        if not self.differences:
            return "identical"
        return "different" if self.first_beyond else "equal within tolerance"

    @property
    def first(self) -> Difference | None:
        """Return where the runs first part, however little."""
        return self.differences[0] if self.differences else None

    @property
    def first_beyond(self) -> Difference | None:
        """Return where they first part by more than the tolerance."""
        return next((one for one in self.differences if not one.within(self.tolerance)), None)

    def largest(self) -> dict[str, Difference]:
        """Return the largest difference of each metric that differs; what is no number comes before any number.

        Hashes and texts have no size, and how many rows or steps there are is no metric: :attr:`without_size`.
        """
        worst: dict[str, Difference] = {}
        for one in self.differences:
            if not one.has_size:
                continue
            size = math.inf if one.relative is None else one.relative
            known = worst.get(one.metric)
            if known is None or size > (math.inf if known.relative is None else known.relative):
                worst[one.metric] = one
        return worst

    @property
    def without_size(self) -> list[str]:
        """Return the names of what differs besides the metrics, such as the hash of the weights."""
        return [_name(one.metric) for one in self.differences if not one.has_size]


def compare(recorded: Facts, again: Facts, *, steps: int | None = None, tolerance: float = TOLERANCE) -> Comparison:
    """Hold two runs of one config against each other, as far as both are known.

    Args:
        recorded: what was.
        again: what is now.
        steps: only the rows up to this training step, and nothing of what comes after training; None: all.
        tolerance: relative difference up to which two metrics count as equal.
    """
    before, now = (_until(facts.rows, steps) for facts in (recorded, again))
    differences = _row_differences(before, now)
    last = max((int(row["step"]) for row in before), default=0)
    compared, missing = [f"{counted(len(before), 'row')} of metrics up to step {last}"], []
    missing += [f"{column} (not in the record)" for column in _unknown(before, now) if column not in MEASURED_BY_CLOCK]
    if steps is not None:
        missing.append(f"anything after step {steps} (only {counted(steps, 'step')} asked for)")
        return Comparison(tuple(differences), tuple(compared), tuple(missing), tolerance)
    for key in FINAL:
        if key in recorded.final and key in again.final:
            compared.append(_name(key))
            lacking = _lacking(recorded.final[key], again.final[key])
            missing += [f"{key}/{metric} (not in the record)" for metric in lacking]
            differences += [
                one
                for one in _final_differences(key, recorded.final[key], again.final[key])
                if one.metric.removeprefix(f"{key}/") not in lacking
            ]
        else:
            missing.append(f"{_name(key)} (not in the {'reproduction' if key in recorded.final else 'record'})")
    if recorded.predictions is not None and again.predictions is not None:
        compared.append("predictions")
        differences += _prediction_differences(recorded.predictions, again.predictions)
    else:
        missing.append("predictions (not in the record)")
    # A metric that is new is missing among the rows of val and among its final figures.
    return Comparison(tuple(differences), tuple(compared), tuple(dict.fromkeys(missing)), tolerance)


def _until(rows: list[dict[str, float]], steps: int | None) -> list[dict[str, float]]:
    return [row for row in rows if steps is None or row["step"] <= steps]


def _unknown(before: list[dict[str, float]], now: list[dict[str, float]]) -> list[str]:
    """Return the columns that no row of the record has: W&B keeps no epochs, and older records lack newer columns."""
    known = {column for row in before for column in row}
    return list(dict.fromkeys(column for row in now for column in row if before and column not in known))


def _row_differences(before: list[dict[str, float]], now: list[dict[str, float]]) -> list[Difference]:
    left_out = {*MEASURED_BY_CLOCK, *_unknown(before, now)}
    found = []
    for old, new in zip(before, now, strict=False):
        step = int(old["step"])
        found += [
            Difference(metric, step, old.get(metric), new.get(metric))
            for metric in _different(old, new)
            if metric not in left_out
        ]
    if len(before) != len(now):
        found.append(Difference(ROW_COUNT, None, len(before), len(now)))
    return found


def _lacking(old: Any, new: Any) -> list[str]:
    """Return the metrics of ``new`` that a record lacks because it is older than they are."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return []
    return [metric for metric in _NEWER if metric in new and metric not in old]


def _final_differences(key: str, old: Any, new: Any) -> list[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            Difference(f"{key}/{metric}", None, old.get(metric), new.get(metric)) for metric in _different(old, new)
        ]
    return [] if _same(old, new) else [Difference(key, None, old, new)]


def _prediction_differences(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[Difference]:
    # A record that came without its data's texts is held to what it has: `keep` may leave them out.
    new = [{key: row.get(key) for key in first} for first, row in zip(old, new, strict=False)] + new[len(old) :]
    if old == new:
        return []
    equal = sum(first == second for first, second in zip(old, new, strict=False))
    return [
        Difference("predictions", None, counted(len(old), "row"), f"{equal} equal among {counted(len(new), 'row')}")
    ]


def _different(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [key for key in dict.fromkeys([*old, *new]) if not _same(old.get(key), new.get(key))]


def _same(first: Any, second: Any) -> bool:
    both_nan = all(isinstance(value, float) and math.isnan(value) for value in (first, second))
    return both_nan or first == second


def _name(key: str) -> str:
    names = {"weights_sha256": "final weights", "training_state_sha256": "training state", "best_step": "best step"}
    return names.get(key, key)


def _finite(value: Any) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return number if math.isfinite(number) else None
