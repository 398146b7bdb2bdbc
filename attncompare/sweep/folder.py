"""A sweep's folder: ``sweep.yaml`` says what was asked for, so that the same sweep is found again when it is started again."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attncompare.errors import Refused, RunFailed
from attncompare.sweep.code import made_with
from attncompare.sweep.job import Job
from attncompare.record import write_bytes, write_yaml
from attncompare.record import new_folder, require_writable
from attncompare.record import read_inside, safe_yaml
from attncompare.record import SWEEP_LIMIT as LARGEST, SWEEP_FILE
from attncompare.text import printable

OUTPUT = "output"
_LOCK = ".lock"
_MOMENT = 1.0  # seconds: whoever lists sweeps holds a lock no longer


class SweepFile(BaseModel):
    """What ``sweep.yaml`` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2]
    started: datetime
    command: str = Field(max_length=2**20)  # for people: it starts the same sweep again
    made_with: dict[str, str]
    runs: list[list[str]]  # what was asked for, as Hydra overrides, run by run
    configs: list[str]  # the hash of each run's config, in the same order


class Sweep:
    """A sweep in its folder.

    Args:
        path: the folder.
        file: what its ``sweep.yaml`` holds.
    """

    def __init__(self, path: Path, file: SweepFile) -> None:
        self.path, self.file = path, file

    @classmethod
    def open(cls, path: Path) -> "Sweep":
        """Read the sweep in the folder ``path``.

        Raises:
            Refused: if its ``sweep.yaml`` is missing or damaged.
        """
        file = path / SWEEP_FILE
        values = safe_yaml(read_inside(path, SWEEP_FILE, LARGEST), file)
        try:
            return cls(path, SweepFile.model_validate(values))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "no list of runs"
            raise Refused(f"{file}: damaged, or from another version of attncompare ({where})") from None

    @property
    def group(self) -> str:
        """Return what W&B calls the runs of this sweep."""
        return f"{self.path.parent.name}-{self.path.name}"

    def output_of(self, job: Job) -> Path:
        """Return where the run's process writes what it says."""
        return self.path / OUTPUT / f"{self._number(job.config.hash()):03d}.log"

    def mark_failed(self, job: Job, why: str) -> None:
        """Keep in one line ``why`` a run failed that has no record to say it; where that cannot be written, go on."""
        with suppress(OSError):
            write_bytes(self._failure_of(job.config.hash()), f"{printable(why)}\n".encode())

    def unmark(self, job: Job) -> None:
        """Forget that the run failed, because it is started again; where that cannot be removed, go on."""
        with suppress(OSError):
            self._failure_of(job.config.hash()).unlink(missing_ok=True)

    def failed_without_record(self, config: str) -> bool:
        """Return whether the run whose config has the hash ``config`` failed before it had a record."""
        return self._failure_of(config).is_file()

    def _failure_of(self, config: str) -> Path:
        return self.path / OUTPUT / f"{self._number(config):03d}.failed"

    def _number(self, config: str) -> int:
        return self.file.configs.index(config)

    def is_running(self) -> bool:
        """Return whether a process is training the runs of this sweep."""
        if not (self.path / _LOCK).exists():
            return False
        try:
            with FileLock(self.path / _LOCK, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # it belongs to somebody else
            return False


def sweep_folders(runs: Path) -> list[Path]:
    """Return the folders of all sweeps in ``runs``, itself the folder of one or what holds them."""
    files = {file for depth in range(3) for file in runs.glob(f"{'*/' * depth}{SWEEP_FILE}")}
    return sorted(file.parent for file in files)


@contextmanager
def opened(jobs: Sequence[Job], command: str, fresh: bool) -> Iterator[tuple[Sweep, list[str]]]:
    """Give the sweep of ``jobs`` with notes on it; nobody else can train it meanwhile.

    It is the newest one with the same configs, made with the same code, versions and data; where there is none, or
    ``fresh`` asks for it, a new one.

    Raises:
        Refused: if another process trains it, or its folder cannot be written.
    """
    runs = jobs[0].config.runs
    require_writable(Path(runs), f"runs={runs}")
    Path(runs).mkdir(parents=True, exist_ok=True)
    made = made_with(job.config for job in jobs)
    with FileLock(Path(runs) / _LOCK):  # for a moment, so that two processes do not begin the same sweep
        sweep, notes = (None, []) if fresh else _same(runs, jobs, made)
        sweep = sweep or _begun(runs, jobs, command, made)
        lock = FileLock(sweep.path / _LOCK)
        try:
            lock.acquire(timeout=_MOMENT)
        except Timeout:
            raise Refused(
                f"{sweep.path}: another process is training this sweep; wait until it has ended, or ask for a new one "
                "with --fresh"
            ) from None
    try:
        yield sweep, notes
    finally:
        lock.release()


def _same(runs: str, jobs: Sequence[Job], made: dict[str, str]) -> tuple[Sweep | None, list[str]]:
    """Return the newest sweep of the same configs that was made with the same, and why a newer one was not taken."""
    configs = sorted(job.config.hash() for job in jobs)
    notes: list[str] = []
    for sweep in sorted(_readable(sweep_folders(Path(runs))), key=lambda sweep: sweep.file.started, reverse=True):
        if sorted(sweep.file.configs) != configs:
            continue
        before = sweep.file.made_with
        changed = [name for name in sorted(before.keys() | made.keys()) if before.get(name) != made.get(name)]
        if not changed:
            return sweep, []
        notes = notes or [
            f"{sweep.path} has the same runs, but was made with another {', '.join(changed)}: a new sweep begins"
        ]
    return None, notes


def _readable(folders: Iterable[Path]) -> Iterator[Sweep]:
    for folder in folders:
        try:
            yield Sweep.open(folder)
        except Refused:  # nobody asked for that one; `attncompare sweeps` names it
            continue


def _begun(runs: str, jobs: Sequence[Job], command: str, made: dict[str, str]) -> Sweep:
    now = datetime.now()
    folder = new_folder(runs, Path(runs) / f"{now:%Y-%m-%d}", f"{now:%H-%M-%S}-sweep")
    file = SweepFile(
        format=2,
        started=now,
        command=command,
        made_with=made,
        runs=[list(job.overrides) for job in jobs],
        configs=[job.config.hash() for job in jobs],
    )
    try:
        (folder / OUTPUT).mkdir()
        write_yaml(folder / SWEEP_FILE, file.model_dump(mode="json"))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise RunFailed(f"runs={runs}: cannot write {error.filename} ({error.strerror}); nothing was started") from None
    return Sweep(folder, file)
