"""The sweeps and runs below a folder as they stand now, whatever shape their records are in."""

import hashlib
import math
import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from attncompare.config.plain_values import flatten
from attncompare.errors import Refused
from attncompare.record import RUN_MARKS, SWEEP_FILE, Run, how_to_resume, is_reference, shared_runs
from attncompare.sweep.folder import Sweep
from attncompare.text import printable

_DEEPEST = 8  # folders below the watched one
_CHANGING = ("summary.json", "metrics.csv", "config.yaml", "manifest.json")


@dataclass(frozen=True)
class View:
    """One run as it stands now.

    ``id`` is its name in addresses: no path, so that no address can lead anywhere else; ``version`` changes whenever the
    record does. ``state`` is as recorded, ``killed`` where no process trains a run that says it is running, or ``damaged``
    where the record cannot be read; then there is no ``run``, and ``message`` says why.
    """

    id: str
    folder: Path
    name: str
    version: str
    state: str
    message: str = ""
    run: Run | None = None
    rows: list[dict[str, float]] = field(default_factory=list)

    @property
    def step(self) -> int:
        """The last step that was logged."""
        return max((int(row["step"]) for row in self.rows), default=0)

    @property
    def steps(self) -> int:
        """How many steps there will be, as far as is known."""
        assert self.run is not None
        known = (
            self.run.summary.get("planned_steps"),
            self.run.summary.get("most_steps"),
            self.run.config.trainer.max_steps,
        )
        return next((steps for steps in known if type(steps) is int), 0)

    @property
    def seconds_left(self) -> float | None:
        """About how long training will go on at its pace so far, by whichever limit is nearer."""
        seconds = max((row.get("train/seconds", 0.0) for row in self.rows), default=0.0)
        if self.state != "running" or not self.step or not 0 < seconds < math.inf:
            return None
        left = seconds * max(0, self.steps - self.step) / self.step
        assert self.run is not None
        limit, by_clock = self.run.config.trainer.max_time, "course" not in self.run.summary
        return left if limit is None or not by_clock else min(left, max(0.0, limit - seconds))

    def newest(self, column: str) -> float | None:
        """Return the newest value of a column of ``metrics.csv``."""
        return next((row[column] for row in reversed(self.rows) if column in row), None)


@dataclass(frozen=True)
class Group:
    """A sweep, or all runs that belong to none, with its runs in the order of a comparison, damaged ones last.

    ``folder`` is the watched one for single runs; ``planned`` is how many runs it will have, as far as is known.
    """

    id: str
    folder: Path
    name: str
    planned: int
    views: tuple[View, ...]

    @property
    def states(self) -> Counter[str]:
        """How many of its runs are in which state; one that was trained again is one run."""
        states = Counter(view.state for view in self.views)
        asked = {view.run.config.hash() if view.run else view.id for view in self.views}
        return states + Counter(waiting=max(0, self.planned - len(asked)))

    @property
    def version(self) -> str:
        """What changes whenever its finished runs do."""
        finished = (f"{view.id}:{view.version}" for view in self.views if view.state == "finished")
        return _digest("\n".join(finished).encode())

    @property
    def varies(self) -> str:
        """The settings in which its runs differ, for people."""
        configs = [flatten(view.run.config.to_dict()) for view in self.views if view.run]
        keys = dict.fromkeys(key for config in configs for key in config)
        return ", ".join(key for key in keys if len({repr(config.get(key)) for config in configs}) > 1)


class Watch:
    """Reads the folder ``root`` when it is asked; a record that has not changed is not read again.

    ``reference`` are the folders in it of runs that come with the code, which are shown only where one of them is ``root``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reference: list[Path] = []
        self._known: dict[Path, View] = {}
        self._one_at_a_time = threading.Lock()

    def groups(self) -> list[Group]:
        """Return the single runs and all sweeps, the newest first."""
        with self._one_at_a_time:
            members: dict[Path, list[View]] = {}
            found = list(self._walk())
            skipped = [folder for folder, _ in found if is_reference(folder, self.root) and _is_run(folder)]
            self.reference = list(dict.fromkeys(folder.parent for folder in skipped))
            for folder, sweep in found:
                if folder in skipped:
                    continue
                views = members.setdefault(sweep, [])
                if folder != sweep or (folder == self.root and _is_run(folder)):
                    views.append(self._view(folder))
            for sweep, views in members.items():
                root = self.root.resolve()
                shared = [path.resolve() for path in shared_runs(sweep).values() if _is_run(path)]
                views += [
                    self._view(self.root / path.relative_to(root)) for path in shared if path.is_relative_to(root)
                ]
            self._known = {view.folder: view for views in members.values() for view in views}
            groups = [self._group(folder, views) for folder, views in members.items()]
            return sorted(groups, key=lambda group: (group.folder != self.root, group.name), reverse=True)

    def _group(self, folder: Path, views: list[View]) -> Group:
        try:
            planned = len(Sweep.open(folder).file.configs) if (folder / SWEEP_FILE).exists() else 0
        except Refused:  # its runs can be whole
            planned = 0
        from attncompare.compare.gathering import in_order

        runs = {view.run.path: view for view in views if view.run}
        ordered = [runs[run.path] for run in in_order([view.run for view in views if view.run], folder)]
        ordered += [view for view in views if not view.run]
        return Group(self._id(folder), folder, self._name(folder), planned, tuple(ordered))

    def _view(self, folder: Path) -> View:
        version = "/".join(_stamp(folder / name) for name in _CHANGING)
        known = self._known.get(folder)
        if known is not None and known.version == version and known.state != "running":  # that one may have died
            return known
        place = (self._id(folder), folder, self._name(folder), version)
        try:
            run = Run.open(folder)
            state = "killed" if run.state == "running" and not run.alive() else run.state
            message = str(run.summary["message"] or "")
            if state in ("killed", "interrupted"):
                message = f"{message}; {how_to_resume(folder)}".removeprefix("; ")
            view = View(*place, state, printable(message), run, run.metrics())
            _ = run.config.hash(), run.reproduces, view.step, view.steps  # read here, where damage can be told
            return view
        except Refused as error:
            return View(*place, "damaged", printable(str(error).replace(f"{folder}/", "").removeprefix(f"{folder}: ")))
        except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            # A stranger's record can hold anything in its unsealed files.
            return View(*place, "damaged", f"its record is not as attncompare writes it ({type(error).__name__})")

    def _walk(self) -> Iterator[tuple[Path, Path]]:
        """Yield (folder of a run, its sweep or the root), and (sweep, sweep) for each sweep, by name.

        Symbolic links and hidden folders are passed over, and what lies in a run's folder is its own.
        """
        waiting: list[tuple[Path, Path, int]] = [(self.root, self.root, 0)]
        while waiting:
            folder, sweep, depth = waiting.pop()
            if _is_run(folder):
                yield folder, sweep
                continue
            if (folder / SWEEP_FILE).is_file():
                sweep = folder
                yield folder, folder
            if depth < _DEEPEST:
                try:
                    inner = [one for one in folder.iterdir() if not one.name.startswith(".")]
                    inner = [one for one in inner if one.is_dir() and not one.is_symlink()]
                except OSError:  # it has gone, or is another user's
                    continue
                waiting += [(one, sweep, depth + 1) for one in sorted(inner, reverse=True)]

    def _id(self, folder: Path) -> str:
        return _digest(os.fsencode(folder.relative_to(self.root)))

    def _name(self, folder: Path) -> str:
        return printable(os.fspath(folder.relative_to(self.root)).encode(errors="backslashreplace").decode())


def _is_run(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in RUN_MARKS)


def _stamp(file: Path) -> str:
    try:
        facts = file.lstat()
    except OSError:
        return "-"
    return f"{facts.st_mtime_ns}.{facts.st_size}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
