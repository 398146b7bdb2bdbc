"""Many runs, each in a process of its own. Hydra's ``-m`` comes here through ``hydra_plugins/attncompare_processes.py``.

So W&B, random state and failures stay apart. The processes are forked from a server that has imported torch, Lightning and W&B once
already, which saves each run the seconds that this takes.
"""

import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rich.console import Console

from attncompare.config import RunConfig
from attncompare.errors import AttnCompareError, Refused, RunFailed
from attncompare.progress_board import ProgressBoard
from attncompare.tracking.files import write_yaml
from attncompare.tracking.progress import Progress

LAST_LINES = 8  # of a failed run's output, shown at once


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
        RunFailed: after all have ended, if any did not finish.
        KeyboardInterrupt: after all running ones closed their records.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    on_gpu = any(job.config.trainer.accelerator == "gpu" for job in jobs)
    workers = min(workers or (1 if on_gpu else cores), len(jobs))
    folder = _sweep_folder(jobs[0].config)
    write_yaml(folder / "sweep.yaml", {"runs": [list(job.overrides) for job in jobs]})
    console = Console(stderr=True)
    console.print(f"{len(jobs)} runs, {workers} at a time, in {folder}", highlight=False)
    with ProgressBoard([job.label for job in jobs], console) as board:
        states = _Pool(jobs, folder, workers, max(1, cores // workers), board).run()
    lost = [job.label for job, state in zip(jobs, states, strict=True) if state != "finished"]
    if lost:
        raise RunFailed(f"{len(lost)} of {len(jobs)} runs did not finish: {'; '.join(lost)}")
    return folder


class _Pool:
    """Keeps ``workers`` processes busy until all jobs have ended."""

    def __init__(self, jobs: list[Job], folder: Path, workers: int, threads: int, board: ProgressBoard) -> None:
        self._jobs, self._folder, self._workers, self._threads, self._board = jobs, folder, workers, threads, board
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload(["attncompare.train"])
        self._states = ["waiting"] * len(jobs)
        self._running: dict[Connection, tuple[int, BaseProcess]] = {}

    def run(self) -> list[str]:
        """Return the state in which each job ended."""
        waiting = deque(range(len(self._jobs)))
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self._workers:
                    self._start(waiting.popleft())
                for connection in wait(list(self._running)):
                    self._hear(connection)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            self._interrupt()
            raise
        return self._states

    def _start(self, number: int) -> None:
        mine, theirs = self._context.Pipe()
        job = self._jobs[number]
        arguments = (job.config, job.overrides, self._folder, self._threads, self._output(number), theirs)
        process = self._context.Process(target=_work, args=arguments)
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
        else:
            self._states[number] = message

    def _end(self, connection: Connection, number: int, process: BaseProcess) -> None:
        process.join()
        del self._running[connection]
        connection.close()
        state = self._states[number]
        if state == "waiting":  # it ended without a word, for example killed by the system
            state = self._states[number] = f"failed (exit code {process.exitcode})"
        self._board.finish(number, state)
        if state != "finished":
            lines = self._output(number).read_text(errors="replace").splitlines()[-LAST_LINES:]
            self._board.print("\n".join([f"{self._jobs[number].label}: {state}", *(f"  {line}" for line in lines)]))

    def _interrupt(self) -> None:
        for _, process in self._running.values():
            if process.pid and process.is_alive():
                os.kill(process.pid, signal.SIGINT)
        for connection, (number, process) in list(self._running.items()):
            process.join()
            self._board.finish(number, "interrupted")
            connection.close()

    def _output(self, number: int) -> Path:
        return self._folder / "output" / f"{number:03d}.log"


def _work(
    config: RunConfig, overrides: tuple[str, ...], folder: Path, threads: int, output: Path, connection: Connection
) -> None:
    """Train one run in this process and tell the parent how it goes."""
    signal.signal(signal.SIGINT, _interrupt_once)
    with output.open("w", buffering=1) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    from attncompare.train import train

    state = "failed"
    try:
        train(config, overrides, folder, folder.name, threads, on_progress=connection.send)
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


def _interrupt_once(number: int, frame: Any) -> None:  # noqa: ARG001
    """Ctrl-C reaches the process from the terminal and once more from the parent; the record is closed in peace."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _sweep_folder(config: RunConfig) -> Path:
    now = datetime.now()
    for suffix in ("", *(f"-{n}" for n in range(2, 10_000))):
        folder = Path(config.runs) / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}-sweep{suffix}"
        try:
            (folder / "output").mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise Refused(f"runs={config.runs}: cannot write there ({error.strerror})") from None
        return folder
    raise Refused(f"{config.runs} is full of sweeps started in this second")
