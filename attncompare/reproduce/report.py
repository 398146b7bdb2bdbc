"""What came out of training again, in words and as JSON."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attncompare.reproduce.facts import Facts
from attncompare.reproduce.verdict import Comparison, Difference
from attncompare.record import Change, said
from attncompare.text import printable

REPORT = "reproduction.json"
FORMAT = 1


@dataclass(frozen=True)
class Reproduction:
    """What came out of training again; ``folder`` is None where the data was another one and nothing was trained."""

    recorded: Facts
    folder: Path | None
    comparison: Comparison
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        comparison = self.comparison
        lines = [f"verdict: {comparison.verdict} ({self._reason()})"]
        if comparison.first:
            lines.append(f"first difference: {comparison.first}")
        if comparison.first_beyond and comparison.first_beyond != comparison.first:
            lines.append(f"first beyond the tolerance: {comparison.first_beyond}")
        if comparison.largest():
            lines.append(f"largest relative differences: {self._largest()}")
        if comparison.without_size:
            lines.append(
                f"{'also different' if comparison.largest() else 'different'}: {', '.join(comparison.without_size)}"
            )
        if comparison.not_compared:
            lines.append(f"not compared: {'; '.join(comparison.not_compared)}")
        lines += [f"environment: {line}" for line in said(list(self.changes))]
        return "\n".join(map(printable, lines))

    def _reason(self) -> str:
        if self.folder is None:
            return "the data is not that of the record, so nothing was trained"
        compared, tolerance = ", ".join(self.comparison.compared), f"{self.comparison.tolerance:.4g}"
        match self.comparison.verdict:
            case "identical":
                return f"{compared}: bit for bit"
            case "equal within tolerance":
                return f"every metric within {tolerance} of the recorded one, relatively; compared: {compared}"
            case _:
                return f"tolerance {tolerance}, relatively; compared: {compared}"

    def _largest(self, most: int = 5) -> str:
        worst = sorted(self.comparison.largest().values(), key=lambda one: -_size(one))
        shown = [
            f"{one.metric} {'no number' if one.relative is None else f'{one.relative:.1e}'}"
            + ("" if one.step is None else f" at step {one.step}")
            for one in worst[:most]
        ]
        return ", ".join([*shown, *([f"{len(worst) - most} more"] if len(worst) > most else [])])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON."""
        comparison = self.comparison
        return {
            "format": FORMAT,
            "verdict": comparison.verdict,
            "tolerance": comparison.tolerance,
            "recorded": self.recorded.source,
            "reproduced": str(self.folder) if self.folder else None,
            "first_difference": _plain(comparison.first),
            "first_beyond_tolerance": _plain(comparison.first_beyond),
            "largest_differences": {key: _plain(one) for key, one in comparison.largest().items()},
            "different_without_size": comparison.without_size,
            "compared": list(comparison.compared),
            "not_compared": list(comparison.not_compared),
            "environment": [
                {"what": change.what, "recorded": change.recorded, "now": change.now} for change in self.changes
            ],
        }


def _size(difference: Difference) -> float:
    return math.inf if difference.relative is None else difference.relative


def _plain(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None:
        return None
    return {
        "metric": difference.metric,
        "step": difference.step,
        "recorded": _json(difference.recorded),
        "reproduced": _json(difference.reproduced),
        "relative": difference.relative,
    }


def _json(value: Any) -> Any:
    """Return ``value`` as JSON has it, which knows neither NaN nor infinity."""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value
