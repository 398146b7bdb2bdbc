"""Many runs, each in a process of its own; Hydra's ``-m`` comes here through ``hydra_plugins``.

So W&B, random state and failures stay apart. The processes are forked from a server that has imported torch, Lightning
and W&B once already, which saves each run the seconds that this takes.
"""

import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from attncompare.config import PairsConfig, RunConfig
from attncompare.data.pair_files import checked_pair_files
from attncompare.errors import AttnCompareError, RunFailed
from attncompare.progress_board import ProgressBoard
from attncompare.tracking.files import write_yaml
from attncompare.tracking.folders import new_folder
from attncompare.tracking.interrupts import first_interrupt_only, on_interrupt
from attncompare.tracking.progress import Progress
from attncompare.tracking.record import mark_lost

LAST_LINES = 8  # of a failed run's output, shown at once
_PATIENCE = 0.5  # seconds until a Ctrl-C is noticed


@dataclass(frozen=True)
class Job:
    """One run of a sweep."""

    config: RunConfig
    overrides: tuple[str, ...]

    @property
    def label(self) -> str:
        """Return a short name for the console."""
        config = self.config
        return f"{config.task.name} {config.attention.name} h{config.attention.heads} seed {config.seed}"


def run_jobs(jobs: list[Job], workers: int | None) -> Path:
    """Train ``jobs``, ``workers`` at a time, and return the sweep's folder, which holds the folder of each run.

    Raises:
        Refused: if files of the data cannot serve; nothing was started.
        RunFailed: after all have ended, if any did not finish.
        KeyboardInterrupt: after all running ones closed their records.
    """
    for data in {job.config.data for job in jobs}:
        if isinstance(data, PairsConfig):  # one bad file would fail every run
            checked_pair_files(data)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    on_gpu = any(job.config.trainer.accelerator == "gpu" for job in jobs)
    workers = min(workers or (1 if on_gpu else cores), len(jobs))
    folder = _sweep_folder(jobs[0].config)
    write_yaml(folder / "sweep.yaml", {"runs": [list(job.overrides) for job in jobs]})
    console = Console(stderr=True)
    console.print(f"{len(jobs)} runs, {workers} at a time, in {folder}", highlight=False, soft_wrap=True)
    labels = _labels(jobs)
    with ProgressBoard(labels, console) as board:
        states = _Pool(jobs, labels, folder, board, workers=workers, threads=max(1, cores // workers)).run()
    lost = [label for label, state in zip(labels, states, strict=True) if state != "finished"]
    if lost:
        raise RunFailed(f"{len(lost)} of {len(jobs)} runs did not finish: {'; '.join(lost)}")
    return folder


class _Pool:
    """Keeps ``workers`` processes busy until all jobs have ended."""

    def __init__(
        self, jobs: list[Job], labels: list[str], folder: Path, board: ProgressBoard, *, workers: int, threads: int
    ) -> None:
        self._jobs, self._labels, self._folder, self._board = jobs, labels, folder, board
        self._workers, self._threads = workers, threads
        self._context = _processes()
        self._states = ["waiting"] * len(jobs)
        self._records: list[Path | None] = [None] * len(jobs)
        self._running: dict[Connection, tuple[int, BaseProcess]] = {}
        self._interrupted = False

    def run(self) -> list[str]:
        """Return the state in which each job ended.

        Raises:
            KeyboardInterrupt: once all have ended, if there was a Ctrl-C.
        """
        waiting = deque(range(len(self._jobs)))
        with on_interrupt(self._interrupt):
            while self._running or (waiting and not self._interrupted):
                while waiting and len(self._running) < self._workers and not self._interrupted:
                    self._start(waiting.popleft())
                for connection in wait(list(self._running), _PATIENCE):
                    self._hear(connection)  # type: ignore[arg-type]
                if self._interrupted:
                    self._stop_all()
        if self._interrupted:
            raise KeyboardInterrupt
        return self._states

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  (the signature is Python's)
        self._interrupted = True  # no exception, which could tear apart a message that is being received

    def _stop_all(self) -> None:
        """Tell every process to stop, whether the terminal told it already or not."""
        for _, process in self._running.values():
            if process.pid and process.is_alive():
                os.kill(process.pid, signal.SIGINT)

    def _start(self, number: int) -> None:
        mine, theirs = self._context.Pipe()
        job = self._jobs[number]
        arguments = {
            "job": job,
            "folder": self._folder,
            "threads": self._threads,
            "output": self._output(number),
            "connection": theirs,
        }
        process = self._context.Process(target=_work, kwargs=arguments)
        process.start()
        theirs.close()
        self._running[mine] = (number, process)

    def _hear(self, connection: Connection) -> None:
        number, process = self._running[connection]
        try:
            message = connection.recv()
        except EOFError:  # the process is gone
            self._end(connection, number, process)
            return
        if isinstance(message, Progress):
            self._board.update(number, message)
        elif isinstance(message, Path):
            self._records[number] = message
        else:
            self._states[number] = message

    def _end(self, connection: Connection, number: int, process: BaseProcess) -> None:
        process.join()
        del self._running[connection]
        connection.close()
        if self._states[number] == "waiting":  # it ended without a word, for example killed by the system
            self._states[number] = self._lost(number, process.exitcode)
        state = self._states[number]
        self._board.finish(number, state)
        if state not in ("finished", "interrupted"):
            lines = self._output(number).read_text(errors="replace").splitlines()[-LAST_LINES:]
            self._board.print("\n".join([f"last lines of {self._labels[number]}:", *(f"  {line}" for line in lines)]))

    def _lost(self, number: int, exit_code: int | None) -> str:
        record = self._records[number]
        if record:
            mark_lost(record, f"its process ended without closing the record (exit code {exit_code})")
        return f"failed (exit code {exit_code})"

    def _output(self, number: int) -> Path:
        return self._folder / "output" / f"{number:03d}.log"


def _processes() -> Any:
    """Return the source of processes; Ctrl-C is meant for the runs, not for it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["attncompare.train"])
    resource_tracker.ensure_running()  # here, because it would lift the block below
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited by all that comes from there
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


def _work(*, job: Job, folder: Path, threads: int, output: Path, connection: Connection) -> None:
    """Train one run in this process and tell the parent how it goes: its folder, its progress, its final state."""
    with first_interrupt_only():
        state = "failed"
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            _redirect(output)
            _train(job, folder, threads, connection)
            state = "finished"
        except KeyboardInterrupt:
            state = "interrupted"
        except AttnCompareError as error:
            print(f"error: {error}", file=sys.stderr)
        except Exception:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            connection.send(state)
            connection.close()


def _redirect(output: Path) -> None:
    with output.open("w", buffering=1) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())


def _train(job: Job, folder: Path, threads: int, connection: Connection) -> None:
    from attncompare.train import train

    train(
        job.config,
        job.overrides,
        parent=folder,
        group=f"{folder.parent.name}-{folder.name}",
        threads=threads,
        on_progress=connection.send,
        on_folder=connection.send,
    )


def _labels(jobs: list[Job]) -> list[str]:
    """Return a label for each job; those that would look alike show their overrides too."""
    labels = [job.label for job in jobs]
    return [
        label if labels.count(label) == 1 else f"{label} ({' '.join(job.overrides)})"
        for label, job in zip(labels, jobs, strict=True)
    ]


def _sweep_folder(config: RunConfig) -> Path:
    now = datetime.now()
    folder = new_folder(config.runs, Path(config.runs) / f"{now:%Y-%m-%d}", f"{now:%H-%M-%S}-sweep")
    (folder / "output").mkdir()
    return folder
