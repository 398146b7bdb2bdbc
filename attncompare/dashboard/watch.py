"""All sweeps and runs below a folder, as they stand now."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from attncompare.dashboard.look import Look, identity, look_at, stamp_of
from attncompare.errors import Refused
from attncompare.record import RUN_MARKS, SWEEP_FILE, read_inside, safe_yaml
from attncompare.record import SWEEP_LIMIT as LARGEST

_DEEPEST = 8  # folders below the watched one
_FRESH = 1.0  # seconds for which nothing is looked at again


@dataclass(frozen=True)
class Group:
    """A sweep, a run that belongs to none, or all such runs together.

    Attributes:
        id: its name in addresses.
        folder: the sweep's, or the run's; the watched one for all single runs.
        name: the folder below the watched one, for people.
        sweep: whether it is a sweep.
        planned: how many runs it will have, 0 where that is not said.
        looks: its runs, in the order of their folders.
    """

    id: str
    folder: Path
    name: str
    sweep: bool
    planned: int
    looks: tuple[Look, ...]

    @property
    def waiting(self) -> int:
        """Return how many runs have not begun; one that was trained again is one run."""
        return max(self.planned - len({look.overrides or look.id for look in self.looks}), 0)

    @property
    def compared(self) -> list[Path]:
        """Return what a comparison of it is given: its own folder, or those of all finished single runs."""
        if self.sweep or any(look.folder == self.folder for look in self.looks):
            return [self.folder]
        return [look.folder for look in self.looks if look.state == "finished"]

    @property
    def changed(self) -> float:
        """Return when a record last changed."""
        return max((look.changed for look in self.looks), default=0.0)

    @property
    def version(self) -> str:
        """Return what changes whenever the finished runs do."""
        parts = [f"{look.id}:{look.version}" for look in self.looks if look.state == "finished"]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


class Watch:
    """Looks at the folder ``root`` when it is asked, at most once a second; what has not changed is not read again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._groups: list[Group] = []
        self._at = float("-inf")
        self._known: dict[Path, tuple[str, Look]] = {}
        self._one_at_a_time = threading.Lock()

    def groups(self) -> list[Group]:
        """Return all sweeps and single runs, the newest first."""
        with self._one_at_a_time:
            if time.monotonic() - self._at > _FRESH:
                self._groups = sorted(self._found(), key=lambda group: group.changed, reverse=True)
                self._at = time.monotonic()
            return self._groups

    @property
    def singles_id(self) -> str:
        """Return the name of all single runs together in addresses; the watched folder is none of them beside others."""
        return identity(self.root, self.root)

    def group(self, group_id: str) -> Group | None:
        """Return the sweep or single run of that name, or all single runs together."""
        groups = self.groups()
        found = next((group for group in groups if group.id == group_id), None)
        if found is None and group_id == self.singles_id and (looks := single_looks(groups)):
            return Group(group_id, self.root, "single runs", sweep=False, planned=0, looks=looks)
        return found

    def look(self, run_id: str) -> Look | None:
        """Return the run of that name."""
        return next((look for group in self.groups() for look in group.looks if look.id == run_id), None)

    def _found(self) -> Iterator[Group]:
        members: dict[Path, list[Look]] = {}
        sweeps: set[Path] = set()
        for folder, sweep in _walk(self.root):
            if sweep == folder:
                sweeps.add(folder)
                members.setdefault(folder, [])
            else:
                members.setdefault(sweep or folder, []).append(self._look(folder))
        self._known = {look.folder: self._known[look.folder] for looks in members.values() for look in looks}
        for folder, looks in members.items():
            planned = _planned(folder) if folder in sweeps else 1
            name = looks[0].name if folder not in sweeps else _name(folder, self.root)
            yield Group(identity(folder, self.root), folder, name, folder in sweeps, planned, tuple(looks))

    def _look(self, folder: Path) -> Look:
        stamp, _ = stamp_of(folder)
        known = self._known.get(folder)
        if known is None or known[0] != stamp or known[1].state == "running":  # that one may have died
            known = (stamp, look_at(folder, self.root))
            self._known[folder] = known
        return known[1]


def single_looks(groups: Sequence[Group]) -> tuple[Look, ...]:
    """Return the runs that belong to no sweep, by name: while they train, their order stays."""
    looks = (look for group in groups if not group.sweep for look in group.looks)
    return tuple(sorted(looks, key=lambda look: look.name))


def _walk(root: Path) -> Iterator[tuple[Path, Path | None]]:
    """Yield (folder, the sweep that it belongs to) for each run, and (sweep, sweep) for each sweep, by name.

    Symbolic links and hidden folders are passed over, and what lies in a run's folder is its own.
    """
    waiting: list[tuple[Path, Path | None, int]] = [(root, None, 0)]
    while waiting:
        folder, sweep, depth = waiting.pop()
        if any((folder / mark).is_file() for mark in RUN_MARKS):
            yield folder, sweep
            continue
        if (folder / SWEEP_FILE).is_file():
            sweep = folder
            yield folder, folder
        if depth < _DEEPEST:
            waiting += [(inner, sweep, depth + 1) for inner in _folders(folder)]


def _folders(folder: Path) -> list[Path]:
    """Return the folders in ``folder`` that may be looked into, the last by name first."""
    try:
        with os.scandir(folder) as entries:
            names = [one.name for one in entries if one.is_dir(follow_symlinks=False) and not one.name.startswith(".")]
    except OSError:  # it has gone, or is somebody else's
        return []
    return [folder / name for name in sorted(names, reverse=True)]


def _planned(sweep: Path) -> int:
    """Return how many runs a sweep was started with, 0 where it does not say."""
    try:
        plan = safe_yaml(read_inside(sweep, SWEEP_FILE, LARGEST), sweep / SWEEP_FILE)
    except Refused:
        return 0
    runs = plan.get("runs") if isinstance(plan, dict) else None
    return len(runs) if isinstance(runs, list) else 0


def _name(folder: Path, root: Path) -> str:
    return os.fspath(folder.relative_to(root)).encode(errors="backslashreplace").decode()
