"""``--equal flops`` and ``--equal time``: what each run had reached when it had spent what all of them spent.

The figures are those of val: test is read once, at the end of a run, which lies at another budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attncompare.errors import Refused
from attncompare.text import engineering
from attncompare.record import Run

Kind = Literal["flops", "time"]
_COLUMNS = {"flops": "train/tokens", "time": "train/seconds"}
_ROUNDING = 1e-9  # relative: a run's own total must lie within itself


@dataclass(frozen=True)
class Budget:
    """A training budget, and the val figures of each run at its last validation within it.

    Attributes:
        kind: what is counted.
        size: FLOPs, or seconds of training without validations.
        figures: metrics by bare name, by the run's path.
        steps: the step of that validation, by the run's path.
    """

    kind: Kind
    size: float
    figures: Mapping[Path, Mapping[str, float]]
    steps: Mapping[Path, int]

    @property
    def shown(self) -> str:
        """The budget for people: "1.23 T training FLOPs", "312 s of training"."""
        return f"{engineering(self.size)} training FLOPs" if self.kind == "flops" else f"{self.size:.0f} s of training"

    @property
    def notes(self) -> list[str]:
        """What must be said of figures taken before a run's end."""
        steps = sorted(self.steps.values())
        when = f"step {steps[0]}" if steps[0] == steps[-1] else f"steps {steps[0]} to {steps[-1]}"
        return [
            f"compared at equal {'FLOPs' if self.kind == 'flops' else 'time'}: figures of val, not of test, at each "
            f"run's last validation within {self.shown}, which all runs reached ({when})",
            "a run that is cut off there has not come to the end of its learning-rate schedule",
        ]


def at_budget(runs: Sequence[Run], kind: Kind) -> Budget:
    """Return what ``runs`` had reached at the largest budget that all of them reached.

    Raises:
        Refused: if a record does not say what its training had cost by then, or has no validation within the budget.
    """
    spent = {run.path: _validations(run, kind) for run in runs}
    size = min(rows[-1][0] for rows in spent.values())
    figures, steps = {}, {}
    for run in runs:
        within = [row for cost, row in spent[run.path] if cost <= size * (1 + _ROUNDING)]
        if not within:
            first = spent[run.path][0][1]["step"]
            raise Refused(
                f"--equal {kind}: {run.path} was first validated at step {first}, beyond the budget that all runs "
                "reached; train with a smaller trainer.validate_every"
            )
        last = within[-1]
        figures[run.path] = {key.removeprefix("val/"): value for key, value in last.items() if key.startswith("val/")}
        steps[run.path] = int(last["step"])
    return Budget(kind, size, figures, steps)


def _validations(run: Run, kind: Kind) -> list[tuple[float, dict[str, float]]]:
    """Return each validation of ``run`` with what training had cost until then, in order."""
    column, factor = _COLUMNS[kind], 1.0
    if kind == "flops":
        factor = run.summary["cost"].get("train_flops_per_token") or 0.0
        if not factor > 0:
            raise Refused(
                f"--equal {kind}: {run.path} does not say what a token of its training had cost (no "
                "cost.train_flops_per_token in summary.json); train it again with this version"
            )
    rows = [row for row in run.metrics() if "val/loss" in row]
    if not rows or any(column not in row for row in rows):
        raise Refused(
            f"--equal {kind}: {run.path} does not say what its training had cost at each validation (no {column} in "
            "metrics.csv); train it again with this version"
        )
    return [(row[column] * factor, row) for row in rows]
