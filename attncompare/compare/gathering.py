"""From paths to runs: whole, finished records; what a sweep holds beside them is named and left out."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attncompare.compare.checks import require_facts, require_finished
from attncompare.compare.identity import fingerprint
from attncompare.config import RunConfig
from attncompare.errors import Refused
from attncompare.record import RUN_MARKS, Run, State, run_folders
from attncompare.text import counted, printable

_MOST_NAMED = 5
_ALIVE = "it is being trained right now"
# As a run that stopped there says it in its record.
_DIVERGED = re.compile(r"\b(?:loss|gradient|gradient's norm) is (?:nan|[+-]?inf)\b", re.IGNORECASE)


@dataclass(frozen=True)
class LeftOut:
    """A run of a sweep that takes no part; ``task``, ``config`` and ``data`` (its fingerprint) where they are known."""

    path: Path
    state: State | Literal["damaged"]
    reason: str
    task: str | None
    config: RunConfig | None
    data: str | None = None

    @property
    def diverged(self) -> bool:
        """Whether it failed because loss or gradient became NaN or infinite."""
        return self.config is not None and self.state == "failed" and bool(_DIVERGED.search(self.reason))

    def sentence(self) -> str:
        """Return for example "runs/x: failed (the loss is nan)"."""
        return f"{self.path}: {self.state}" + (f" ({self.reason})" if self.reason else "")


@dataclass(frozen=True)
class Gathered:
    """The runs of a comparison, and those left out of it."""

    runs: tuple[Run, ...]
    left_out: tuple[LeftOut, ...]


def gather(paths: Iterable[str | Path]) -> Gathered:
    """Open every run among ``paths``: each the folder of a run, or a folder that holds runs at any depth.

    A run given by its own path must be finished and whole. One that is found in a folder is left out where it is not;
    an unfinished one goes unmentioned where the same config was trained again on the same data and finished.

    Raises:
        Refused: if a path does not exist, holds no run, or is an unfinished or damaged run, or if no run is left.
    """
    runs: dict[Path, Run] = {}
    left_out: dict[Path, LeftOut] = {}
    given: list[Run] = []
    for path in map(Path, paths):
        folders = _run_folders(path)
        if folders == [path]:
            given.append(runs.setdefault(path.resolve(), Run.open(path)))
            continue
        for folder in folders:
            if folder.resolve() not in runs:
                found = _opened(folder)
                if isinstance(found, LeftOut):
                    left_out[folder.resolve()] = found
                else:
                    runs[folder.resolve()] = found
    require_finished(given)
    for run in given:
        _require_whole(run)
    trained = {(run.config.hash(), data) for run in runs.values() for data in (None, fingerprint(run))}
    missing = [one for one in left_out.values() if one.config is None or (one.config.hash(), one.data) not in trained]
    if not runs:
        raise Refused(f"none of the {counted(len(missing), 'run')} can be compared: {_named(missing)}")
    return Gathered(tuple(runs.values()), tuple(missing))


def left_out_note(left_out: Sequence[LeftOut]) -> str:
    """Return in one sentence which runs take no part and how to train them again."""
    note = f"{counted(len(left_out), 'run')} {'was' if len(left_out) == 1 else 'were'} left out: {_named(left_out)}"
    again = any(one.state != "damaged" and one.reason != _ALIVE for one in left_out)
    return f"{note}; the same attncompare train -m trains again what did not finish" if again else note


def _named(left_out: Sequence[LeftOut]) -> str:
    more = len(left_out) - _MOST_NAMED
    return "; ".join([one.sentence() for one in left_out[:_MOST_NAMED]] + ([f"and {more} more"] if more > 0 else []))


def _run_folders(path: Path) -> list[Path]:
    if not path.is_dir():
        raise Refused(f"{path}: no such folder")
    if any((path / mark).is_file() for mark in RUN_MARKS):
        return [path]
    found = run_folders(path)
    if not found:
        raise Refused(f"{path}: neither a run nor a folder that holds runs")
    return found


def _opened(folder: Path) -> Run | LeftOut:
    task = None
    try:
        run = Run.open(folder)
        task = run.summary.get("task") if isinstance(run.summary.get("task"), str) else None
        config = run.config
        if run.state == "finished":
            _require_whole(run)
            return run
    except Refused as error:
        why = str(error).replace(f"{folder}/", "").removeprefix(f"{folder}: ")  # the folder is named already
        return LeftOut(folder, "damaged", printable(why), task, None)
    if run.alive():
        why = _ALIVE
    else:
        why = "it was killed" if run.state == "running" else printable(str(run.summary.get("message") or ""))
    known = run.summary.get("data")  # written once the data is there
    data = known.get("fingerprint") if isinstance(known, dict) else None
    return LeftOut(folder, run.state, why, task, config, data if isinstance(data, str) else None)


def _require_whole(run: Run) -> None:
    """Read all that a comparison reads of a finished run, so that damage is named before anything is written."""
    run.require_finished()
    require_facts(run)
    run.config.hash()
    run.metrics()
    run.environment()
    run.predictions()
    run.items()
    for file in run.map_files():
        run.read(f"maps/{file.name}")
