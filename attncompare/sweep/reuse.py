"""The runs that a new sweep need not train: others of the runs folder, of a sweep or trained alone, that are the same."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from attncompare.config import RunConfig, variant_label
from attncompare.errors import Refused
from attncompare.record import Run, is_reference, other_facts, processor

_DEEPEST = 3  # folders between the runs folder and a run of a sweep: its day, its sweep, its own
_DEVICE = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu')"


def runs_of(runs: Path, configs: Iterable[RunConfig]) -> Iterator[Run]:
    """Yield the whole runs in the folder ``runs`` that have the task and the label of one of ``configs``.

    Runs that come with the code and reproductions are passed over, as every comparison does.
    """
    wanted = {(config.task.name, variant_label(config.attention)) for config in configs}
    for file in (file for depth in range(_DEEPEST) for file in sorted(runs.glob(f"{'*/' * (depth + 1)}summary.json"))):
        try:
            run = Run.open(file.parent)
            named = (run.summary["task"], run.summary["label"])  # asked first: configs take longer to read
            if named in wanted and run.reproduces is None and not is_reference(run.path, runs):
                _ = run.config
                yield run
        except Refused:  # `attncompare compare` names it
            continue


def same_runs(runs: Path, configs: Iterable[RunConfig], made: Mapping[str, str]) -> tuple[dict[str, Run], list[str]]:
    """Return the runs in the folder ``runs`` that ``configs`` need not train, by the hash of their config, and notes.

    They have one of the configs and, unless ``sweep.reuse=always``, were trained by the same code and versions on a
    machine like this one. Of several with one config a finished one counts, and of these the newest; one that a process
    is training right now does not.
    """
    wanted = {config.hash(): config for config in configs}
    always = any(config.sweep.reuse == "always" for config in wanted.values())
    found: dict[str, Run] = {}
    others: dict[str, list[str]] = {}
    for run in sorted(runs_of(runs, wanted.values()), key=_finished_and_new):
        config = run.config.hash()
        if config not in wanted or (run.state != "finished" and run.alive()):
            continue
        if not always and (changed := _changed(run, made)):
            others[config] = changed
        else:
            found[config] = run
    refused = {config: changed for config, changed in others.items() if config not in found}
    if not refused:
        return found, []
    what = ", ".join(Counter(name for changed in refused.values() for name in changed))
    is_there = "1 run is" if len(refused) == 1 else f"{len(refused)} runs are"
    return found, [f"{is_there} there with another {what}, and trained anew; sweep.reuse=always takes such runs"]


def _finished_and_new(run: Run) -> tuple[bool, int]:
    return run.state == "finished", (run.path / "summary.json").stat().st_mtime_ns


def _changed(run: Run, made: Mapping[str, str]) -> list[str]:
    """Return what was different when ``run`` was trained, as the names of facts."""
    changed = other_facts(run.summary.get("made_with"), made)
    if not changed:
        recorded = run.environment() if run.has("environment.json") else {}
        here = processor()
        if run.config.trainer.accelerator != "cpu":
            here["device"] = _device()
        changed = [name for name, value in here.items() if recorded.get(name) != value]
    return changed


@cache
def _device() -> str:
    """Return the device of this machine, as records name it; another process asks, as torch would occupy it in this one."""
    return subprocess.run([sys.executable, "-c", _DEVICE], capture_output=True, text=True, check=False).stdout.strip()
