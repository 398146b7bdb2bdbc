"""``attncompare sweeps``: what sweeps there are, what each varies, how far it is, and what can be done with it."""

import json
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from attncompare.errors import Refused
from attncompare.record import gone_note, shared_runs
from attncompare.sweep.folder import Members, Sweep, sweep_folders, tell
from attncompare.text import counted, printable

_ORDER = ("finished", "training", "failed", "interrupted", "killed", "waiting")


@dataclass(frozen=True)
class Listed:
    """A sweep as it stands now: how many runs are in which state, damaged records, whether a process trains it.

    ``shared`` are the runs that it takes from elsewhere, ``gone`` those of them that are no longer there.
    """

    sweep: Sweep
    states: Counter[str]
    damaged: list[str]
    running: bool
    shared: list[Path]
    gone: list[Path]

    @classmethod
    def read(cls, folder: Path) -> "Listed":
        """Read the sweep in ``folder`` and all its runs; raises Refused if its ``sweep.yaml`` is damaged."""
        sweep, found = Sweep.open(folder), Members.read(folder)
        running = sweep.is_running()
        states: Counter[str] = Counter()
        for config in sweep.file.configs:
            run = found.runs.get(config)
            if run is None:  # one that has an output failed before it had a record
                states["failed" if sweep.output_of(config).exists() and not running else "waiting"] += 1
            else:
                states[run.state if run.state != "running" else "training" if run.alive() else "killed"] += 1
        shared = [path for config, path in shared_runs(folder).items() if config not in found.gone]
        return cls(sweep, states, found.damaged, running, shared, list(found.gone.values()))

    @property
    def finished(self) -> bool:
        """Whether all runs have finished."""
        return self.states.total() == self.states["finished"]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain JSON."""
        file = self.sweep.file
        facts: dict[str, Any] = {"folder": str(self.sweep.path), "started": file.started.isoformat()}
        facts |= {"training": self.running, "runs": len(file.configs), "states": dict(self.states)}
        facts["varies"] = varied(file.runs)
        facts |= {"group": self.sweep.group, "command": file.command, "made_with": file.made_with}
        facts |= {"shared": [str(path) for path in self.shared], "gone": [str(path) for path in self.gone]}
        return facts | {"damaged": self.damaged}


def print_sweeps(runs: Path, *, as_json: bool) -> None:
    """Print the sweeps in ``runs``, the newest last; raises Refused if there is no such folder."""
    if not runs.is_dir():
        raise Refused(f"{runs}: no such folder; give the one that runs go to (runs=... of attncompare train)")
    listed: list[Listed] = []
    damaged: list[str] = []
    for folder in sweep_folders(runs):
        try:
            listed.append(Listed.read(folder))
        except Refused as error:
            damaged.append(str(error))
    listed.sort(key=lambda one: one.sweep.file.started)
    if as_json:
        print(json.dumps({"sweeps": [one.to_dict() for one in listed], "damaged": damaged}, indent=2))
        return
    console = Console()
    if not listed and not damaged:
        tell(console, f"no sweeps in {runs}; begin one with: attncompare train -m attention=dot,scaled seed=1,2,3")
    for line in (line for one in listed for line in _lines(one)):
        tell(console, printable(line))
    for problem in [*damaged, *(problem for one in listed for problem in one.damaged)]:
        tell(console, printable(f"damaged: {problem}"))
    for one in listed:
        if one.gone:
            tell(console, printable(gone_note(one.sweep.path, one.gone)))
    for one in listed:
        if not one.finished and not one.running:
            tell(console, printable(f"go on with {one.sweep.path}: {one.sweep.file.command}"))
    if done := [one for one in listed if one.states["finished"]]:
        tell(console, printable(f"compare: attncompare compare {shlex.quote(str(done[-1].sweep.path))}"))


def varied(runs: list[list[str]]) -> dict[str, list[str]]:
    """Return the keys that differ between runs, with their values, each once."""
    asked = [dict(one.lstrip("+").split("=", 1) for one in overrides if "=" in one) for overrides in runs]
    keys = dict.fromkeys(key for overrides in asked for key in overrides)
    differ = [key for key in keys if len({overrides.get(key) for overrides in asked}) > 1]
    return {key: list(dict.fromkeys(run[key] for run in asked if key in run)) for key in differ}


def _lines(one: Listed) -> list[str]:
    """Return a sweep's folder, in a line of its own so that no terminal's table breaks it, and below it what is known of it."""
    file = one.sweep.file
    states = [f"{one.states[state]} {state}" for state in _ORDER if one.states[state]]
    states += [f"{len(one.damaged)} damaged"] if one.damaged else []
    state = "finished" if one.finished else ", ".join(states)
    varies = ", ".join(f"{key} ({len(values)})" for key, values in varied(file.runs).items()) or "nothing"
    runs = counted(len(file.configs), "run")
    others = sorted({str(path.parent) for path in one.shared})
    shared = [f"  {len(one.shared)} shared with {', '.join(others)}"] if others else []
    return [str(one.sweep.path), f"  {file.started:%Y-%m-%d %H:%M}  {runs}, {state}; varies: {varies}", *shared]
