"""From what a person typed to what is known of one or many runs."""

import contextlib
import io
import math
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attncompare.errors import Refused
from attncompare.record import REFERENCE, Run, find_runs, is_run, not_started, read_inside, safe_yaml, unpack
from attncompare.registry import nearest
from attncompare.reproduce.verdict import FINAL, Facts
from attncompare.text import counted, printable

REFERENCES = Path(__file__).parents[2] / "runs" / REFERENCE
_SUFFIX = ".tar.xz"
_WANDB_PATH = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/){2}[A-Za-z0-9_][A-Za-z0-9_.-]*")
_REACH = 5  # seconds until W&B's server must have said whether the login is good
_PATIENCE = 60  # seconds for each of its answers after that
# W&B writes numbers that JSON lacks as texts.
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class Found:
    """What there is to train again.

    Runs that can be, those of a sweep that cannot, with the reason in words, and whether it is a folder of more than one
    run; or the values of a config of which nothing was recorded, and no runs.
    """

    runs: list[Facts]
    left_out: tuple[str, ...] = ()
    sweep: bool = False
    values: dict[str, Any] | None = None


def find(record: str, unfinished: bool) -> Found:
    """Return what ``record`` names: a path that exists, a record that comes with the code, or a run of W&B.

    That is the folder of a run or of a sweep, a ``config.yaml``, ``reference/NAME`` (or a run in it,
    ``reference/NAME/RUN``), or ``entity/project/run``. Refused is what cannot be read or trained again, and a run that
    has not finished unless ``unfinished``.
    """
    if os.path.lexists(record):
        return _at(Path(record), unfinished)
    name, _, run = record.removeprefix("reference/").partition("/")
    if name in references():
        with TemporaryDirectory(prefix="attncompare-") as folder:
            unpacked = unpack(REFERENCES / f"{name}{_SUFFIX}", Path(folder), run or None)
            found = _at(unpacked, unfinished)
            runs = [replace(facts, source=facts.source.replace(folder, "reference", 1)) for facts in found.runs]
            return replace(found, runs=runs)
    if _WANDB_PATH.fullmatch(record) and not os.path.lexists(record.partition("/")[0]):  # else a path with a slip
        facts = _online(record)
        if facts.state != "finished" and not unfinished:
            raise Refused(f"{record}: the run is {facts.state}, not finished; --steps N compares its first steps")
        return Found([facts])
    close = nearest(name, references())
    raise Refused(
        f"{printable(record)[:200]}: no such folder{f' (did you mean reference/{close}?)' if close else ''}; records under "
        f"runs/reference: {', '.join(references()) or 'none'}; valid: the folder of a run or of a sweep, a config.yaml, "
        "reference/NAME, or a W&B path entity/project/run"
    )


def references() -> list[str]:
    """Return the names of the records that come with the code."""
    return sorted(file.name.removesuffix(_SUFFIX) for file in REFERENCES.glob(f"*{_SUFFIX}"))


def facts_of(run: Run) -> Facts:
    """Return what the folder of ``run`` holds, finished or not."""
    values = _values(run.read("config.yaml"), run.path / "config.yaml")
    final = {}
    if run.state == "finished":
        tests = {"predictions": run.predictions(), "items": run.items()}
        final = {key: run.summary[key] for key in FINAL if key in run.summary}
        final |= {key: rows for key, rows in tests.items() if run.has(f"{key}.jsonl")}
    most = run.summary.get("most_steps", _section(values, "trainer").get("max_steps"))
    # What an unfinished run has not planned so far lies beyond its rows.
    summary = run.summary if run.state == "finished" else {"planned_after": most, "planned_steps": most, **run.summary}
    if run.state != "finished":
        summary["steps"] = summary["planned_steps"]
    return Facts(str(run.path), run.state, values, run.environment(), run.metrics(), final, _course(values, summary))


def _course(values: dict[str, Any], summary: dict[str, Any]) -> dict[str, int] | None:
    if _section(values, "trainer").get("max_time") is None:
        return None
    after, planned, last = (summary.get(key) for key in ("planned_after", "planned_steps", "steps"))
    if type(after) is not int or type(planned) is not int or type(last) is not int:
        return None
    known = 0 < after <= planned and 0 < last <= planned
    return {"planned_after": after, "planned_steps": planned, "last": last} if known else None


def _section(values: dict[str, Any], name: str) -> dict[str, Any]:
    section = values.get(name)
    return section if isinstance(section, dict) else {}


def _at(path: Path, unfinished: bool) -> Found:
    if path.name == "config.yaml" and is_run(path.parent):
        path = path.parent
    if is_run(path):
        run = Run.open(path)
        return Found([facts_of(run if unfinished else run.require_finished())])
    if path.is_dir():
        runs = find_runs([path])
        finished = [run for run in runs if run.state == "finished"]
        left_out = [f"{run.path}: the run {run.standing()}" for run in runs if run.state != "finished"]
        left_out += not_started([path])
        if not finished:
            raise Refused(f"{path}: none of its {counted(len(runs), 'run')} has finished; {left_out[0]}")
        facts = [facts_of(run.require_finished()) for run in finished]
        return Found(facts, tuple(left_out), sweep=len(facts) > 1 or bool(left_out))
    if path.suffix not in (".yaml", ".yml"):
        raise Refused(f"{path}: neither a folder nor a config (.yaml)")
    return Found([], values=_values(read_inside(path.parent, path.name), path))


def _values(content: bytes, file: Path) -> dict[str, Any]:
    values = safe_yaml(content, file)
    if not isinstance(values, dict):
        raise Refused(f"{file}: no config (it holds no keys)")
    return values


def _online(path: str) -> Facts:
    import wandb

    try:
        with contextlib.redirect_stderr(io.StringIO()):  # W&B would ask for a key on a terminal
            wandb.Api(timeout=_REACH)
            run = wandb.Api(timeout=_PATIENCE).run(path)
            config, summary, history = dict(run.config), dict(run.summary_metrics), list(run.scan_history())
    except wandb.errors.UsageError:
        raise Refused(
            f"{path}: no such folder, and as a run of W&B it needs a login: run `wandb login` (or set WANDB_API_KEY)"
        ) from None
    except (wandb.errors.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise Refused(f"{path}: no such folder, and W&B gave no run of that name: {reason}") from None
    values = {key: value for key, value in config.items() if key != "_wandb"}
    if not {"task", "attention", "trainer"} <= values.keys():
        raise Refused(f"{path}: not a run of attncompare (its config has no task, attention and trainer)")
    state = summary.get("state")
    final = {key: summary[key] for key in FINAL if key in summary}
    test = {key.removeprefix("test/"): _number(value) for key, value in summary.items() if key.startswith("test/")}
    test = {key: value for key, value in test.items() if isinstance(value, int | float)}
    return Facts(
        source=path,
        state=state if state in ("finished", "failed", "interrupted") else "running",
        values=values,
        environment={key: summary[key] for key in ("data_fingerprint", "threads") if key in summary},
        rows=[row for row in map(_row, history) if row],
        final={**final, "test": test} if test else final,
        course=_course(values, summary),
    )


def _row(item: dict[str, Any]) -> dict[str, float] | None:
    """Return a row of metrics, or None where something else was logged, such as pictures."""
    step = _number(item.get("step"))
    if not isinstance(step, int | float) or not math.isfinite(step) or step != int(step):
        return None
    metrics = {key: _number(value) for key, value in item.items() if key.startswith(("train/", "val/"))}
    known = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
    return {"step": int(step), **known} if known else None


def _number(value: Any) -> Any:
    return _NUMBERS.get(value, value) if isinstance(value, str) else value
