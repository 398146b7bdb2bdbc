"""From paths to runs: whole, finished records; what a sweep holds beside them is named and left out."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from attncompare.compare.checks import require_facts, require_finished
from attncompare.compare.identity import fingerprint
from attncompare.config import RunConfig
from attncompare.config.plain_values import flatten
from attncompare.config.variants import variant_place
from attncompare.errors import Refused
from attncompare.record import RUN_MARKS, Run, State, asked_in_order, is_reference, run_folders
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
    """The runs of a comparison in its order, and those left out of it; ``reference`` are folders of reference runs."""

    runs: tuple[Run, ...]
    left_out: tuple[LeftOut, ...]
    reference: tuple[Path, ...] = ()


def gather(paths: Iterable[str | Path]) -> Gathered:
    """Open every run among ``paths``: each the folder of a run, or a folder that holds runs at any depth.

    A run given by its own path must be finished and whole. One that is found in a folder is left out where it is not;
    an unfinished one goes unmentioned where the same config was trained again on the same data and finished. Runs that
    come with the code are left out, too, unless their own folder is among ``paths``.

    The runs stand in the order of ``paths``; those of a sweep in the order asked for, those of another folder by variant,
    as ``conf/attention`` lists them, and by their settings: never by who began first.

    Raises:
        Refused: if a path does not exist, holds no run, or is an unfinished or damaged run, or if no run is left.
    """
    runs: dict[Path, Run] = {}
    left_out: dict[Path, LeftOut] = {}
    given: list[Run] = []
    reference: dict[Path, None] = {}
    for path in map(Path, paths):
        folders = _run_folders(path)
        others = [one for one in folders if is_reference(one, path)]
        reference |= dict.fromkeys(one.parent for one in others)
        if others and len(others) == len(folders):
            raise Refused(f"{path}: {reference_note([*reference])}")
        folders = [one for one in folders if one not in others]
        if folders == [path]:
            given.append(runs.setdefault(path.resolve(), Run.open(path)))
            continue
        opened = [_opened(folder) for folder in folders if folder.resolve() not in runs]
        left_out |= {one.path.resolve(): one for one in opened if isinstance(one, LeftOut)}
        found = [one for one in opened if isinstance(one, Run)]
        runs |= {run.path.resolve(): run for run in in_order(found, path)}
    require_finished(given)
    for run in given:
        _require_whole(run)
    trained = {(run.config.hash(), data) for run in runs.values() for data in (None, fingerprint(run))}
    missing = [one for one in left_out.values() if one.config is None or (one.config.hash(), one.data) not in trained]
    if not runs:
        raise Refused(f"none of the {counted(len(missing), 'run')} can be compared: {_named(missing)}")
    return Gathered(tuple(runs.values()), tuple(missing), tuple(reference))


def in_order(runs: Sequence[Run], folder: Path) -> list[Run]:
    """Return the runs found in ``folder`` in the order of a sweep there, else by variant and settings; tasks stay as found."""
    asked = {config: place for place, config in enumerate(asked_in_order(folder))}
    tasks = list(dict.fromkeys(run.config.task.name for run in runs))

    def place(run: Run) -> tuple[Any, ...]:
        config = run.config
        settings = flatten(config.settings()).values()
        # Numbers before texts, and heads=2 before heads=12.
        sortable = [(0, one, "") if isinstance(one, int | float) else (1, 0, str(one)) for one in settings]
        named = variant_place(config.attention.name)
        return (asked.get(config.hash(), len(asked)), tasks.index(config.task.name), named, sortable)

    return sorted(runs, key=place)


def reference_note(folders: Sequence[Path]) -> str:
    """Return in one sentence that the runs in ``folders``, which come with the code, take no part, and how they would."""
    named = ", ".join(map(str, folders[:_MOST_NAMED])) + (" and more" if len(folders) > _MOST_NAMED else "")
    return f"reference runs are left out unless their folder is given: {named}"


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
    run.heads()
    run.environment()
    run.predictions()
    run.items()
    for file in run.map_files():
        run.read(f"maps/{file.name}")
