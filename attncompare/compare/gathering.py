"""From paths to runs: whole, finished records; what a sweep holds beside them is named and left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attncompare.compare.checks import require_figures, require_finished
from attncompare.compare.identity import fingerprint
from attncompare.config import RunConfig
from attncompare.errors import Refused
from attncompare.wandb_logging.offline_run import offline_files, open_any
from attncompare.record import RUN_MARKS, Run, State
from attncompare.text import printable

_MOST_NAMED = 5
_ALIVE = "it is being trained right now"


@dataclass(frozen=True)
class LeftOut:
    """A run of a sweep that takes no part: unfinished, or damaged. ``task``, ``config`` and ``data`` where they are known.

    ``data`` is the data's fingerprint.
    """

    path: Path
    state: State | Literal["damaged"]
    reason: str
    task: str | None
    config: RunConfig | None
    data: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it can be trained again: its record is whole, and nobody is at it."""
        return self.state != "damaged" and self.reason != _ALIVE

    def sentence(self) -> str:
        """Return path, state and reason: "runs/x: failed (the loss is nan)"."""
        return f"{self.path}: {self.state}" + (f" ({self.reason})" if self.reason else "")


@dataclass(frozen=True)
class Gathered:
    """The runs of a comparison, and those left out of it."""

    runs: tuple[Run, ...]
    left_out: tuple[LeftOut, ...]


def gather(paths: Iterable[str | Path]) -> Gathered:
    """Open every run among ``paths``: each the folder of a run, or a folder that holds runs at any depth.

    Where no record is left, what W&B kept offline stands for it.

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
            run = runs.setdefault(path.resolve(), open_any(path))
            given.append(run)
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
    missing = [one for one in left_out.values() if not _trained_again(one, runs.values())]
    if not runs:
        raise Refused(f"none of the {_runs(len(missing))} can be compared: {named(missing)}")
    return Gathered(tuple(runs.values()), tuple(missing))


def named(left_out: Sequence[LeftOut]) -> str:
    """Return the first few of ``left_out`` with their reasons, and how many more there are."""
    words = [one.sentence() for one in left_out[:_MOST_NAMED]]
    more = len(left_out) - len(words)
    return "; ".join([*words, f"and {more} more"] if more else words)


def left_out_note(left_out: Sequence[LeftOut]) -> str:
    """Return in one sentence which runs take no part and how to train them again."""
    was = "was" if len(left_out) == 1 else "were"
    note = f"{_runs(len(left_out))} {was} left out: {named(left_out)}"
    again = any(one.ended for one in left_out)
    return f"{note}; the same attncompare train -m trains again what did not finish" if again else note


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _run_folders(path: Path) -> list[Path]:
    """Return ``path`` itself if it is a run, or what is left of one; else the runs below it, or W&B's copies of them."""
    if copies := offline_files(path):
        return copies
    if not path.is_dir():
        raise Refused(f"{path}: no such folder")
    if any((path / mark).is_file() for mark in RUN_MARKS):
        return [path]
    found = sorted({file.parent for mark in RUN_MARKS for file in path.rglob(mark)})
    if not found:
        raise Refused(f"{path}: neither a run nor a folder that holds runs")
    return found


def _opened(folder: Path) -> Run | LeftOut:
    try:
        run = open_any(folder)
    except Refused as error:
        return LeftOut(folder, "damaged", _short(str(error), folder), None, None)
    task = run.summary.get("task")
    task = task if isinstance(task, str) else None
    try:
        config = run.config
        if run.state == "finished":
            _require_whole(run)
            return run
    except Refused as error:
        return LeftOut(folder, "damaged", _short(str(error), folder), task, None)
    return LeftOut(folder, run.state, _why(run), task, config, _data(run))


def _data(run: Run) -> str | None:
    """Return the data's fingerprint where an unfinished run has got so far as to write it."""
    known = run.summary.get("data")
    value = known.get("fingerprint") if isinstance(known, dict) else None
    return value if isinstance(value, str) else None


def _trained_again(one: LeftOut, finished: Iterable[Run]) -> bool:
    if one.config is None:
        return False
    same = [run for run in finished if run.config.hash() == one.config.hash()]
    return any(one.data in (None, fingerprint(run)) for run in same)


def _require_whole(run: Run) -> None:
    """Read all that a comparison reads of a finished run.

    Raises:
        Refused: names the first file that is not what the run wrote.
    """
    run.require_finished()
    require_figures(run)
    run.config.hash()
    run.metrics()
    run.environment()
    run.predictions()
    run.losses()
    for file in run.map_files():
        run.read(f"maps/{file.name}")


def _why(run: Run) -> str:
    if run.alive():
        return _ALIVE
    if run.state == "running":
        return "it was killed"
    return printable(str(run.summary.get("message") or ""))


def _short(message: str, folder: Path) -> str:
    """Return ``message`` without the folder, which is named already."""
    return printable(message.replace(f"{folder}/", "").removeprefix(f"{folder}: "))
