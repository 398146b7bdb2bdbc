"""One run as it stands now, whatever shape its record is in: a dashboard shows broken records too."""

import hashlib
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from attncompare.dashboard.curves import Lines, lines_of, thinned
from attncompare.errors import Refused
from attncompare.record import MEBIBYTE, Run, State, how_to_resume, read_inside, safe_yaml
from attncompare.text import printable

_SPARK = 60  # points of the small curve
_SHORT_MESSAGE = 400  # characters
_CHANGING = ("summary.json", "metrics.csv", "config.yaml", "manifest.json")

Standing = Literal[State, "killed", "damaged"]


@dataclass(frozen=True)
class Look:
    """What a dashboard shows of one run.

    Attributes:
        id: its name in addresses; says nothing of the folder.
        folder: where its record is.
        name: the folder below the watched one, for people.
        state: as recorded; ``killed`` where nobody trains a run that says it is running, ``damaged`` where the record
            cannot be read.
        message: why it ended, or what is damaged.
        run: the record; None where it is damaged.
        task: its task, "" where that is not known.
        variant: its attention, "" where that is not known.
        overrides: what was asked for, one ``key=value`` each.
        step: the last training step that was logged.
        steps: how many there will be.
        seconds_left: about how long it will go on; None where nobody knows.
        train_loss: the newest.
        val_loss: the newest.
        best_loss: the lowest on val.
        test: its test figures, once it has finished.
        spark: the loss on val over its training.
        lines: its curves.
        changed: when its record last changed, in seconds since 1970.
        version: changes whenever the record does.
    """

    id: str
    folder: Path
    name: str
    state: Standing
    message: str = ""
    run: Run | None = None
    task: str = ""
    variant: str = ""
    overrides: tuple[str, ...] = ()
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    best_loss: float | None = None
    test: dict[str, float] = field(default_factory=dict)
    spark: tuple[float, ...] = ()
    lines: Lines = field(default_factory=dict)
    changed: float = 0.0
    version: str = ""


def look_at(folder: Path, root: Path) -> Look:
    """Return how the run in ``folder`` stands. Nothing that stands in its record is raised.

    Args:
        folder: holds, or should hold, a record.
        root: the watched folder.
    """
    name = _shown(os.fspath(folder.relative_to(root)))
    stamp, changed = stamp_of(folder)
    known: dict[str, Any] = {
        "id": identity(folder, root),
        "folder": folder,
        "name": name,
        "changed": changed,
        "version": stamp,
    }
    try:
        return Look(**known, **_facts(Run.open(folder)))
    except Refused as error:
        message = str(error).replace(f"{folder}/", "").removeprefix(f"{folder}: ")
        return Look(**known, state="damaged", message=_shown(message)[:_SHORT_MESSAGE])
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        # A stranger's record can hold anything in its unsealed files.
        return Look(**known, state="damaged", message=f"its record is not as attncompare writes it ({_kind(error)})")


def identity(folder: Path, root: Path) -> str:
    """Return the name of ``folder`` in addresses: no path, so that no address can lead anywhere else."""
    return hashlib.sha256(os.fsencode(folder.relative_to(root))).hexdigest()[:16]


def stamp_of(folder: Path) -> tuple[str, float]:
    """Return what changes whenever the record in ``folder`` does, and when that last was."""
    stamps, newest = [], 0.0
    for name in _CHANGING:
        try:
            facts = (folder / name).lstat()
        except OSError:
            stamps.append("-")
            continue
        stamps.append(f"{facts.st_mtime_ns}.{facts.st_size}")
        newest = max(newest, facts.st_mtime)
    return "/".join(stamps), newest


def _facts(run: Run) -> dict[str, Any]:
    config, rows = run.config, run.metrics()
    val = [row["val/loss"] for row in rows if "val/loss" in row]
    finite = [loss for loss in val if math.isfinite(loss)]
    train = [row["train/loss"] for row in rows if "train/loss" in row]
    step = max((int(row["step"]) for row in rows), default=0)
    state = _standing(run)
    return {
        "state": state,
        "message": _shown(_why(run, state))[:_SHORT_MESSAGE],
        "run": run,
        "task": config.task.name,
        "variant": config.attention.name,
        "overrides": _overrides(run),
        "step": step,
        "steps": _steps(run),
        "seconds_left": _seconds_left(run, rows, step),
        "train_loss": train[-1] if train else None,
        "val_loss": val[-1] if val else None,
        "best_loss": min(finite) if finite else None,
        "test": _numbers(run.summary.get("test")) if state == "finished" else {},
        "spark": tuple(thinned(finite, _SPARK)),
        "lines": lines_of(rows, config.task.name),
    }


def _standing(run: Run) -> Standing:
    return "killed" if run.state == "running" and not run.alive() else run.state


def _why(run: Run, state: Standing) -> str:
    """Return why a run ended early, and where it can be gone on with, how."""
    message = str(run.summary.get("message") or "")
    if state == "killed":
        return f"its process is gone; {how_to_resume(run.path)}"
    return f"{message}; {how_to_resume(run.path)}" if state == "interrupted" else message


def _overrides(run: Run) -> tuple[str, ...]:
    given = safe_yaml(read_inside(run.path, "overrides.yaml", MEBIBYTE), run.path / "overrides.yaml")
    if not isinstance(given, list):
        raise Refused(f"{run.path / 'overrides.yaml'}: damaged (no list)")
    return tuple(map(str, given))


def _seconds_left(run: Run, rows: list[dict[str, float]], step: int) -> float | None:
    """Return about how long training will go on, from the seconds that it took so far."""
    seconds = max((row["train/seconds"] for row in rows if "train/seconds" in row), default=0.0)
    if run.state != "running" or not step or not math.isfinite(seconds) or seconds <= 0:
        return None
    return seconds * max(_steps(run) - step, 0) / step


def _steps(run: Run) -> int:
    """Return how many steps there will be, as far as is known."""
    planned = run.summary.get("planned_steps")
    return planned if type(planned) is int else run.config.trainer.max_steps


def _numbers(values: Any) -> dict[str, float]:
    if not isinstance(values, dict):
        return {}
    return {str(key): value for key, value in values.items() if isinstance(value, int | float)}


def _shown(text: str) -> str:
    """Return ``text`` as something that can be sent: a folder's name need not be UTF-8."""
    return printable(text.encode(errors="backslashreplace").decode())


def _kind(error: Exception) -> str:
    return type(error).__name__
