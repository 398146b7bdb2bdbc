"""The runs of a sweep and its folder: ``sweep.yaml`` says what was asked for, so that the same command finds it again."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console

from attncompare.config import RunConfig, variant_label
from attncompare.errors import Refused, RunFailed
from attncompare.record import (
    SWEEP_FILE,
    SWEEP_LIMIT,
    Run,
    Shared,
    data_files,
    gone_note,
    is_run,
    made_with,
    new_folder,
    read_inside,
    require_writable,
    safe_yaml,
    shared_runs,
    write_yaml,
)
from attncompare.sweep.reuse import same_runs
from attncompare.text import counted
from attncompare.training import stoppable
from attncompare.wandb_logging.destination import Destination

_OUTPUT, _LOCK = "output", ".lock"
_MOMENT = 1.0  # seconds: whoever lists sweeps holds a lock no longer


@dataclass(frozen=True)
class Job:
    """One run of a sweep: its config, its Hydra overrides, and two folders where there are such ones.

    These are that of its unfinished record (``begun``), and that of own configs, which the overrides may name.
    """

    config: RunConfig
    overrides: tuple[str, ...]
    begun: Path | None = None
    own_configs: Path | None = None


def labels(jobs: Sequence[Job]) -> list[str]:
    """Return a short name for each job; those that would look alike show their overrides too."""
    configs = [job.config for job in jobs]
    variants = [variant_label(config.attention, ("attention.heads",)) for config in configs]
    names = [
        f"{c.task.name} {variant} h{c.attention.heads} seed {c.seed}"
        for c, variant in zip(configs, variants, strict=True)
    ]
    more = [f" ({' '.join(job.overrides)})" for job in jobs]
    count = Counter(names)
    return [name + rest * (count[name] > 1) for name, rest in zip(names, more, strict=True)]


def check_jobs(jobs: Sequence[Job]) -> None:
    """Refuse what would fail every run, or runs that cannot be told apart, before anything is started.

    Raises Refused: names the run or the file of data, or says that W&B knows no account."""
    if "WANDB_SWEEP_ID" in os.environ:
        raise Refused("W&B's agent trains one run at a time, as W&B's sweep says; leave out -m")
    first: dict[str, Job] = {}
    for job, label in zip(jobs, labels(jobs), strict=True):
        if job.config.runs != jobs[0].config.runs:
            raise Refused(f"runs={jobs[0].config.runs},{job.config.runs}: the runs of a sweep stand in one folder")
        if job.config.sweep != jobs[0].config.sweep:
            raise Refused("sweep: its settings are those of all runs; give each one value")
        if job.config.resume is not None:
            raise Refused(f"resume={job.config.resume}: a run is resumed alone; leave out -m")
        if first.setdefault(job.config.hash(), job) is not job:
            raise Refused(f"{label} is asked for twice; names, tags and tracking do not set two runs apart")
    for config in {job.config.data: job.config for job in jobs}.values():
        data_files(config)  # one bad file would fail every run
    if any(Destination.chosen(job.config, None).mode == "online" for job in jobs):
        from attncompare.wandb_logging import require_login  # W&B is slow to import

        require_login()


class SweepFile(BaseModel):
    """What ``sweep.yaml`` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2, 3]
    started: datetime
    command: str = Field(max_length=2**20)  # for people: it starts the same sweep again
    made_with: dict[str, str]
    runs: list[list[str]]  # Hydra overrides, run by run
    configs: list[str]  # the hash of each run's config, in the same order
    shared: Shared = {}
    fresh: bool = False  # whether it takes nothing in


@dataclass(frozen=True)
class Sweep:
    """A sweep in its folder ``path``; ``file`` is what its ``sweep.yaml`` holds."""

    path: Path
    file: SweepFile

    @classmethod
    def open(cls, path: Path) -> "Sweep":
        """Read the sweep in the folder ``path``; raises Refused if its ``sweep.yaml`` is missing or damaged."""
        file = path / SWEEP_FILE
        values = safe_yaml(read_inside(path, SWEEP_FILE, SWEEP_LIMIT), file)
        try:
            return cls(path, SweepFile.model_validate(values))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "no list of runs"
            raise Refused(f"{file}: damaged, or from another version of attncompare ({where})") from None

    @property
    def group(self) -> str:
        """The group of its runs in W&B."""
        return f"{self.path.parent.name}-{self.path.name}"

    def output_of(self, config: str) -> Path:
        """Return where the process of the run whose config has the hash ``config`` writes its output."""
        return self.path / _OUTPUT / f"{self.file.configs.index(config):03d}.log"

    def is_running(self) -> bool:
        """Return whether a process is training the runs of this sweep."""
        if not (self.path / _LOCK).exists():
            return False
        try:
            with FileLock(self.path / _LOCK, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # it belongs to another user
            return False


@dataclass(frozen=True)
class Members:
    """The runs of a sweep: ``runs`` by the hash of their config, and what is wrong with each damaged one.

    ``gone`` are those taken in from elsewhere, by the hash of their config, that are no longer there.
    """

    runs: dict[str, Run]
    damaged: list[str]
    gone: dict[str, Path]

    @classmethod
    def read(cls, folder: Path) -> "Members":
        """Read every run in ``folder`` or taken in by its sweep; of two with the same config a finished one counts."""
        shared = shared_runs(folder)
        found = cls({}, [], gone_of(shared))
        for path in [*sorted(folder.iterdir()), *shared.values()]:
            if not ((path / "summary.json").exists() or (path / "config.yaml").exists()):
                continue
            try:
                run = Run.open(path)
                if found.runs.setdefault(run.config.hash(), run).state != "finished":
                    found.runs[run.config.hash()] = run
            except Refused as error:
                found.damaged.append(str(error))
        return found


def gone_of(shared: dict[str, Path]) -> dict[str, Path]:
    """Return which runs that a sweep has taken in are no longer there, by the hash of their config."""
    return {config: path for config, path in shared.items() if not is_run(path)}


def sweep_folders(runs: Path) -> list[Path]:
    """Return the folders of all sweeps in ``runs``, itself the folder of one or what holds them."""
    files = {file for depth in range(3) for file in runs.glob(f"{'*/' * depth}{SWEEP_FILE}")}
    return sorted(file.parent for file in files)


@contextmanager
def opened(jobs: Sequence[Job], command: str, fresh: bool) -> Iterator[tuple[Sweep, list[str]]]:
    """Give the sweep of ``jobs`` with notes on it, and hold its lock.

    It is the newest one with the same configs, made with the same code, versions and data; a new one where there is
    none, or where ``fresh`` asks for it. What it lacks is taken in where it is there already, unless it began ``fresh``.
    Raises Refused if another process trains it, or its folder cannot be written.
    """
    runs = Path(jobs[0].config.runs)
    require_writable(runs, f"runs={runs}")
    runs.mkdir(parents=True, exist_ok=True)
    made = made_with(job.config for job in jobs)
    with FileLock(runs / _LOCK):  # for a moment, so that two processes do not begin the same sweep
        sweep, shared, notes = there_already(runs, jobs, made, fresh)
        sweep = sweep or _begun(runs, jobs, command, made, fresh)
        lock = FileLock(sweep.path / _LOCK)
        try:
            lock.acquire(timeout=_MOMENT)
        except Timeout:
            raise Refused(
                f"{sweep.path}: another process is training this sweep; wait until it has ended, or ask for a new one "
                "with --fresh"
            ) from None
    try:
        gone = gone_of(shared_runs(sweep.path))
        notes += [gone_note(sweep.path, list(gone.values()))] if gone else []
        if gone or shared:  # what is gone is trained again in the sweep's own folder
            rest = {config: path for config, path in sweep.file.shared.items() if config not in gone}
            places = {config: _from(sweep.path, run.path) for config, run in shared.items()}
            sweep = Sweep(sweep.path, sweep.file.model_copy(update={"shared": {**rest, **places}}))
            write_yaml(sweep.path / SWEEP_FILE, sweep.file.model_dump(mode="json"))
        yield sweep, notes
    finally:
        lock.release()


def there_already(
    runs: Path, jobs: Sequence[Job], made: dict[str, str], fresh: bool
) -> tuple[Sweep | None, dict[str, Run], list[str]]:
    """Return the sweep in the folder ``runs`` that is the same, what it or a new one takes in by its config's hash, and notes."""
    if fresh:
        return None, {}, []
    sweep, notes = _same(runs, jobs, made)
    if sweep and sweep.file.fresh:
        return sweep, {}, notes
    own = Members.read(sweep.path).runs if sweep else {}
    lacking = [job.config for job in jobs if job.config.hash() not in own]
    shared, more = same_runs(runs, lacking, made) if lacking else ({}, [])
    return sweep, shared, notes + more


def _same(runs: Path, jobs: Sequence[Job], made: dict[str, str]) -> tuple[Sweep | None, list[str]]:
    configs = sorted(job.config.hash() for job in jobs)
    candidates, notes = [], []
    for folder in sweep_folders(runs):
        try:
            sweep = Sweep.open(folder)
        except Refused:  # `attncompare sweeps` names it
            continue
        if sorted(sweep.file.configs) == configs:
            candidates.append(sweep)
    for sweep in sorted(candidates, key=lambda sweep: sweep.file.started, reverse=True):
        before = sweep.file.made_with
        changed = [name for name in sorted(before.keys() | made.keys()) if before.get(name) != made.get(name)]
        if not changed:
            return sweep, []
        notes.append(
            f"{sweep.path} has the same runs, but was made with another {', '.join(changed)}: a new sweep begins"
        )
    return None, notes[:1]


def _begun(runs: Path, jobs: Sequence[Job], command: str, made: dict[str, str], fresh: bool) -> Sweep:
    now = datetime.now()
    folder = new_folder(str(runs), runs / f"{now:%Y-%m-%d}", f"{now:%H-%M-%S}-sweep")
    asked, configs = [list(job.overrides) for job in jobs], [job.config.hash() for job in jobs]
    facts: dict[str, Any] = {"command": command, "made_with": made, "runs": asked, "configs": configs}
    file = SweepFile(format=3, started=now, **facts, fresh=fresh)
    try:
        (folder / _OUTPUT).mkdir()
        write_yaml(folder / SWEEP_FILE, file.model_dump(mode="json"))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise RunFailed(f"runs={runs}: cannot write {error.filename} ({error.strerror}); nothing was started") from None
    return Sweep(folder, file)


def _from(folder: Path, run: Path) -> str:
    return Path(os.path.relpath(run.resolve(), folder.resolve())).as_posix()


def start(
    jobs: Sequence[Job], command: str, launch: Callable[[Sweep, Sequence[Job], Console], None], *, fresh: bool
) -> Path:
    """Train what is not finished of ``jobs`` and return the sweep's folder, which holds the folder of each run.

    ``launch`` trains those that are left; with ``fresh`` all are, in a new folder, whatever is finished already.
    Raises Refused if a run cannot be trained or the sweep is being trained already; nothing was started; RunFailed
    after all have ended, if any did not finish; KeyboardInterrupt after all running ones closed their records.
    """
    check_jobs(jobs)
    console, total = Console(stderr=True), counted(len(jobs), "run")
    with stoppable(), opened(jobs, command, fresh) as (sweep, notes):
        found, left = Members.read(sweep.path), []
        for job in jobs:
            run = found.runs.get(job.config.hash())
            if run is None:
                left.append(job)
            elif run.state != "finished":
                if run.alive():
                    what = "another process is training this run of the sweep; wait until it has ended"
                    raise Refused(f"{run.path}: {what}")
                left.append(replace(job, begun=run.path))
        notes += [f"left aside, and trained anew: {problem}" for problem in found.damaged]
        if done := len(jobs) - len(left):
            which = f"{done} of {total}" if left else f"all {total}"
            finished = {str(run.path.parent) for run in found.runs.values() if run.state == "finished"}
            where = ", ".join(sorted(finished))
            notes.append(f"{which} finished already in {where} and skipped; --fresh trains all of them anew")
        if begun := sum(job.begun is not None for job in left):
            notes.append(f"{counted(begun, 'run')} that did not finish: resumed where they stand")
        for line in notes:
            tell(console, line)
        try:
            if left:
                launch(sweep, left, console)
        except KeyboardInterrupt:
            done = len(jobs) - len(_unfinished(sweep, jobs))
            tell(console, f"{done} of {total} finished; the same command goes on with the rest")
            raise
        unfinished = _unfinished(sweep, jobs)
    if unfinished:
        raise RunFailed(f"{len(unfinished)} of {total} did not finish: {'; '.join(unfinished)}")
    return sweep.path


def tell(console: Console, text: str) -> None:
    """Print ``text`` as it is, without markup, and without breaking its lines."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _unfinished(sweep: Sweep, jobs: Sequence[Job]) -> list[str]:
    runs = Members.read(sweep.path).runs
    finished = {config for config, run in runs.items() if run.state == "finished"}
    return [label for job, label in zip(jobs, labels(jobs), strict=True) if job.config.hash() not in finished]
