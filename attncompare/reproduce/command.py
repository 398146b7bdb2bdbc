"""``attncompare reproduce``: training again what a record describes, the verdict, and ``reproduction.json``.

A record may come from a stranger. So its config decides every number, but neither where files go nor what is published:
``runs``, ``tracking.wandb`` and ``resume`` are set here. Its uncommitted changes of the code are never applied.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from attncompare.config import RunConfig, parse, with_data
from attncompare.errors import AttnCompareError, Refused, RunFailed
from attncompare.record import (
    REPRODUCE,
    Change,
    Run,
    changes,
    environment,
    new_folder,
    recorded_threads,
    require_writable,
    said,
)
from attncompare.record.files import write_json
from attncompare.reproduce.sources import facts_of, find
from attncompare.reproduce.verdict import TOLERANCE, Comparison, Difference, Facts, compare
from attncompare.text import counted, printable, printable_lines
from attncompare.training.ending import Course
from attncompare.training.progress import Lines

REPORT = "reproduction.json"
FORMAT = 2
_CHANGE_NUMBERS = ("data_fingerprint", "packages", "threads", "device", "cpu_capability", "git", "python")


@dataclass(frozen=True)
class Options:
    """What was asked for: where new folders go, how many first steps are compared (None: all), and how exactly.

    ``parent`` is the folder that holds those of a sweep.
    """

    runs: str = "runs"
    steps: int | None = None
    tolerance: float = TOLERANCE
    parent: Path | None = None


@dataclass(frozen=True)
class Reproduction:
    """What came out of training again; ``folder`` is None where the data was another one and nothing was trained."""

    recorded: Facts
    folder: Path | None
    comparison: Comparison
    changes: tuple[Change, ...]

    def __str__(self) -> str:
        comparison = self.comparison
        compared = ", ".join(comparison.compared) or "the data is not that of the record, so nothing was trained"
        identical = comparison.verdict == "identical"
        how = "bit for bit" if identical else f"tolerance {comparison.tolerance:.4g}, relatively"
        lines = [f"verdict: {comparison.verdict} ({how}; {compared})"]
        if comparison.first:
            lines.append(f"first difference: {comparison.first}")
        if comparison.first_beyond and comparison.first_beyond != comparison.first:
            lines.append(f"first beyond the tolerance: {comparison.first_beyond}")
        if largest := comparison.largest():
            sizes = ["NaN or infinite" if one.relative is None else f"{one.relative:.1e}" for one in largest[:5]]
            listed = [f"{one.metric} {size}" for one, size in zip(largest, sizes, strict=False)]
            more = [f"{len(largest) - 5} more"] if len(largest) > 5 else []
            lines.append(f"largest relative differences: {', '.join([*listed, *more])}")
        if others := [one.metric for one in comparison.differences if not one.of_metric]:
            lines.append(f"different besides metrics: {', '.join(others)}")
        if comparison.not_compared:
            lines.append(f"not compared: {'; '.join(comparison.not_compared)}")
        return "\n".join(map(printable, [*lines, *(f"environment: {line}" for line in said(self.changes))]))

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON."""
        comparison = self.comparison
        first, beyond = (one and one.to_dict() for one in (comparison.first, comparison.first_beyond))
        return {
            "format": FORMAT,
            "verdict": comparison.verdict,
            "tolerance": comparison.tolerance,
            "recorded": self.recorded.source,
            "reproduced": str(self.folder) if self.folder else None,
            "first_difference": first,
            "first_beyond_tolerance": beyond,
            "largest_differences": [one.to_dict() for one in comparison.largest()],
            "compared": list(comparison.compared),
            "not_compared": list(comparison.not_compared),
            "environment": [{"what": one.what, "recorded": one.recorded, "now": one.now} for one in self.changes],
        }


def run(
    record: str, *, steps: int | None = None, tolerance: float = TOLERANCE, runs: str = "runs", data: Sequence[str] = ()
) -> None:
    """Train again what ``record`` names, compare, and print the verdict.

    ``record`` is as :func:`attncompare.reproduce.sources.find` takes it; ``steps`` compares that many first steps alone.
    ``data`` are ``KEY=VALUE`` each, of the config's section ``data``: above all where its files are here.

    Raises Refused if there is nothing that can be trained again as asked; RunFailed if training failed, or the
    verdict is "different".
    """
    if steps is not None and steps < 1:
        raise Refused(f"--steps {steps}: must be a positive integer")
    if not 0 <= tolerance < 1:
        raise Refused(f"--tolerance {tolerance}: must be a number from 0 to below 1")
    found = find(record, unfinished=steps is not None)
    recorded = [replace(facts, values=with_data(facts.values, data)) for facts in found.runs]
    require_writable(Path(runs), f"runs={runs}")
    options = Options(runs, steps, tolerance)
    if found.sweep:
        _sweep(record, recorded, found.left_out, options)
        return
    if found.values is not None:
        _say(f"{record}: nothing was recorded beside it, so it is trained twice here and the two are compared")
        recorded = [_train_once(record, with_data(found.values, data), options)]
    outcome = reproduce(recorded[0], options)
    print(outcome)
    if outcome.folder:
        print(f"report: {outcome.folder / REPORT}")
    if outcome.comparison.verdict == "different":
        raise RunFailed(f"{record} was not reproduced")


def reproduce(recorded: Facts, options: Options) -> Reproduction:
    """Train a recorded run again into a new folder and compare; what differs around it is said before.

    Refused is what cannot be trained again as asked, before anything is written; RunFailed tells that training failed.
    """
    import torch

    from attncompare.data.module import DataModule

    config = _config(recorded.source, recorded.values, options)
    threads = recorded_threads(recorded.environment, recorded.source)
    last, stop_after = _first_steps(recorded, options.steps)
    if config.trainer.max_time is not None and recorded.course is None:
        raise Refused(f"{recorded.source}: trained by the clock, and its record does not tell for how many steps")
    data = DataModule(config)
    data.prepare()
    now = {**environment(data.fingerprint), "threads": config.trainer.threads or threads or torch.get_num_threads()}
    found = tuple(changes(recorded.environment, now))
    as_recorded = "environment: as recorded, as far as it is known"
    _say("\n  ".join(["not as recorded:", *said(found)]) if found else as_recorded)
    absent = [key for key in _CHANGE_NUMBERS if key not in recorded.environment]
    if absent:
        _say(f"not in the record: {', '.join(absent)}")
    fingerprint = recorded.environment.get("data_fingerprint")
    if fingerprint not in (None, data.fingerprint):
        other = Difference("data_fingerprint", None, fingerprint, data.fingerprint)
        return Reproduction(recorded, None, Comparison((other,), (), ("metrics", *absent), options.tolerance), found)
    course = Course(**recorded.course) if recorded.course else None
    again = _train(recorded.source, config, options, threads=threads, stop_after=stop_after, course=course)
    comparison = compare(recorded, facts_of(again), steps=last, tolerance=options.tolerance)
    unknown = (f"{key} (not in the record)" for key in absent)
    comparison = replace(comparison, not_compared=(*comparison.not_compared, *unknown))
    outcome = Reproduction(recorded, again.path, comparison, found)
    write_json(again.path / REPORT, outcome.to_dict())
    return outcome


def _train_once(source: str, values: dict[str, Any], options: Options) -> Facts:
    config, steps = _config(source, values, options), options.steps
    trainer = config.trainer
    _require_rows(source, steps, min(trainer.log_every, trainer.validate_every, trainer.max_steps or trainer.log_every))
    stop_after = None if steps is None else steps + 1  # training stops before the row of its last step is written
    return facts_of(_train(source, config, options, stop_after=stop_after))


def _train(source: str, config: RunConfig, options: Options, **more: Any) -> Run:
    from attncompare.training.run import train

    hooks: dict[str, Any] = {
        "on_progress": Lines(Path(source).name, _say),
        "on_folder": lambda path: _say(f"recording in {path}"),
    }
    return train(config, [f"{REPRODUCE}{source}"], parent=options.parent, **hooks, **more)


def _config(source: str, values: dict[str, Any], options: Options) -> RunConfig:
    try:
        config = parse(values)
    except Refused as error:
        raise Refused(f"{source}: its config is not one of this version: {error}") from None
    tracking = config.tracking.model_copy(update={"wandb": "disabled"})
    return config.model_copy(update={"runs": options.runs, "tracking": tracking, "resume": None})


def _first_steps(recorded: Facts, steps: int | None) -> tuple[int | None, int | None]:
    """Return the last step to compare and the step after which to stop training; None: the last."""
    if steps is None:
        return None, None
    if not recorded.rows:
        raise Refused(f"{recorded.source}: --steps {steps}: the record has no row of metrics")
    _require_rows(recorded.source, steps, int(recorded.rows[0]["step"]))
    last = int(max(row["step"] for row in recorded.rows))
    if steps > last:
        _say(f"--steps {steps}: the record has only {counted(last, 'step')}, and all of them are compared")
    if recorded.state == "finished" and steps >= last:
        return None, None
    last = min(steps, last)
    return last, last + 1  # training stops before the row of its last step is written


def _require_rows(source: str, steps: int | None, first: int) -> None:
    if steps is not None and steps < first:
        raise Refused(f"{source}: --steps {steps}: the first row of metrics is that of step {first}; give that or more")


def _sweep(record: str, recorded: list[Facts], left_out: tuple[str, ...], options: Options) -> None:
    now = datetime.now()
    folder = new_folder(options.runs, Path(options.runs) / f"{now:%Y-%m-%d}", f"{now:%H-%M-%S}-reproduction")
    options = replace(options, parent=folder)
    reports: list[dict[str, Any]] = []
    for facts in recorded:
        try:
            reports.append(reproduce(facts, options).to_dict())
        except AttnCompareError as error:
            reports.append({"verdict": "failed", "recorded": facts.source, "message": str(error)})
        verdicts = [report["verdict"] for report in reports]
        worst = min(verdicts, key=("failed", "different", "equal within tolerance", "identical").index)
        counts = {"missing": len(recorded) - len(reports), "left_out": list(left_out)}
        whole = {"format": FORMAT, "recorded": record, "verdict": worst, "runs": reports, **counts}
        write_json(folder / REPORT, whole)
    for report in reports:
        first = report.get("first_difference")
        why = report.get("message") or (first and f"first difference: {first['metric']} at step {first['step']}")
        print(printable(f"{report['verdict']}: {report['recorded']}{f' ({why})' if why else ''}"))
    for reason in left_out:
        print(printable(f"left out: {reason}"))
    print(f"report: {folder / REPORT}")
    if lost := sum(report["verdict"] in ("different", "failed") for report in reports):
        raise RunFailed(f"{record}: {lost} of {counted(len(reports), 'run')} could not be reproduced")


def _say(text: str) -> None:
    print(printable_lines(text), file=sys.stderr, flush=True)
