"""The processes of a sweep on this machine, some at a time.

They are forked from a server that has imported torch, Lightning and W&B once already, which saves each run the seconds
that this takes.
"""

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from attncompare.errors import AttnCompareError, Refused
from attncompare.text import counted
from attncompare.training.processes_deaths import death
from attncompare.sweep.progress_board import ProgressBoard
from attncompare.sweep.devices import Share, cores_here, gpus_here, may_use_gpus, share
from attncompare.sweep.folder import Sweep
from attncompare.sweep.job import Job, labels
from attncompare.sweep.worker import STOPS, Place, work
from attncompare.training.interrupts import on_interrupt
from attncompare.training.progress import Progress
from attncompare.record import Run, is_run, mark_lost

LAST_LINES = 8  # of a failed run's output, shown at once
_PATIENCE = 0.5  # seconds until a Ctrl-C is noticed


def train_here(sweep: Sweep, jobs: Sequence[Job], console: Console, *, workers: int | None) -> None:
    """Train ``jobs``, ``workers`` at a time; how each ended stands in its record, and is told.

    Raises:
        Refused: if this machine cannot train them; nothing was started.
        KeyboardInterrupt: after all running ones closed their records.
    """
    processes = _processes()
    gpus = gpus_here(processes) if may_use_gpus(jobs) else []
    shared = share(jobs, workers, cores_here(), gpus)
    begins = f"{counted(len(jobs), 'run')}, {shared.workers} at a time, in {sweep.path}"
    console.print(begins, highlight=False, markup=False, soft_wrap=True)
    with ProgressBoard(labels(jobs), console, at_a_time=shared.workers) as board:
        _Pool(sweep, jobs, board, shared, processes).run()


@dataclass(frozen=True)
class _Worker:
    """A process at work: which job it trains, and which place among those that train at the same time it has."""

    number: int
    process: BaseProcess
    place: int


class _Pool:
    """Keeps as many processes busy as the machine's ``shared`` for, until all jobs have ended."""

    def __init__(self, sweep: Sweep, jobs: Sequence[Job], board: ProgressBoard, shared: Share, processes: Any) -> None:
        self._sweep, self._jobs, self._labels, self._board = sweep, jobs, labels(jobs), board
        self._shared, self._processes = shared, processes
        self._states: list[str | None] = [None] * len(jobs)
        self._records: list[Path | None] = [job.begun for job in jobs]
        self._running: dict[Connection, _Worker] = {}
        self._free = deque(range(shared.workers))
        self._interrupted = False

    def run(self) -> None:
        """Train all jobs.

        Raises:
            KeyboardInterrupt: once all have ended, if there was a Ctrl-C.
        """
        waiting = deque(range(len(self._jobs)))
        with on_interrupt(self._interrupt):
            while self._running or (waiting and not self._interrupted):
                while waiting and self._free and not self._interrupted:
                    self._start(waiting.popleft(), self._free.popleft())
                for connection in wait(list(self._running), _PATIENCE):
                    self._hear(connection)  # type: ignore[arg-type]
                if self._interrupted:
                    self._stop_all()
        if self._interrupted:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  (the signature is Python's)
        self._interrupted = True  # no exception, which could tear apart a message that is being received

    def _stop_all(self) -> None:
        """Tell every process to stop, whether the terminal told it already or not."""
        for worker in self._running.values():
            if worker.process.pid and worker.process.is_alive():
                with contextlib.suppress(ProcessLookupError):  # it has ended in between
                    os.kill(worker.process.pid, signal.SIGTERM)  # a shell's background jobs would not hear SIGINT

    def _start(self, number: int, place: int) -> None:
        mine, theirs = self._processes.Pipe()
        job = self._jobs[number]
        self._sweep.unmark(job)
        arguments = {
            "job": job,
            "place": Place(self._sweep.path, self._sweep.group, self._shared.threads, self._shared.devices[place]),
            "output": self._sweep.output_of(job),
            "connection": theirs,
        }
        process = self._processes.Process(target=work, kwargs=arguments)
        process.start()
        theirs.close()
        self._running[mine] = _Worker(number, process, place)

    def _hear(self, connection: Connection) -> None:
        number = self._running[connection].number
        try:
            message = connection.recv()
        except (EOFError, OSError):  # the process is gone, perhaps in the middle of a message
            self._end(connection)
            return
        if isinstance(message, Progress):
            self._board.update(number, message)
        elif isinstance(message, Path):
            self._records[number] = message
        else:
            self._states[number] = message

    def _end(self, connection: Connection) -> None:
        worker = self._running.pop(connection)
        worker.process.join()
        connection.close()
        self._free.append(worker.place)
        number = worker.number
        # One that ends without a word was, for example, killed by the system.
        state = self._states[number] or self._lost(number, worker.process.exitcode)
        self._board.finish(number, state)
        if state == "finished":
            self._note(number)
        elif state != "interrupted":
            self._tell_failure(number, state)

    def _note(self, number: int) -> None:
        """Tell what W&B lacks of a finished run, or that its record cannot be read: no reason to stop the others."""
        record = self._records[number]
        try:
            note = Run.open(record).summary["wandb"].get("problem") if record else None
        except (Refused, OSError) as error:
            note = str(error)
        if note:
            self._board.print(f"{self._labels[number]}: {note}")

    def _tell_failure(self, number: int, state: str) -> None:
        """Show the last lines of a failed run; one without a record is marked in the sweep's folder."""
        job, record = self._jobs[number], self._records[number]
        lines: list[str] = []
        with contextlib.suppress(OSError):  # it was removed, or could never be written
            lines = self._sweep.output_of(job).read_text(errors="replace").splitlines()[-LAST_LINES:]
        said = [f"{self._labels[number]}: {state}; its last lines:", *(f"  {line}" for line in lines)]
        self._board.print("\n".join(said))
        if record is None or not is_run(record):
            why = lines[-1] if lines and state == "failed" else state  # one without a word had no last line
            self._sweep.mark_failed(job, why)

    def _lost(self, number: int, exit_code: int | None) -> str:
        record, why = self._records[number], death(exit_code)
        if record:
            with contextlib.suppress(AttnCompareError, OSError):  # the other runs go on
                mark_lost(record, f"its process ended without closing the record ({why})")
        return f"failed ({why})"


def _processes() -> Any:
    """Return the source of processes; Ctrl-C is meant for the runs, not for it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["attncompare.training.run"])
    resource_tracker.ensure_running()  # here, because it would lift the block below
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # inherited by all that comes from there
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context
