"""The processes of a sweep on this machine, some at a time, with its cores and GPUs shared between them.

They are forked from a server that has imported torch and Lightning once, which saves each run the seconds that this takes.
"""

import contextlib
import importlib.util
import math
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rich.console import Console

from attncompare.attention.kernels.heap import keep_freed_memory
from attncompare.config import variants
from attncompare.errors import AttnCompareError, Refused, RunFailed
from attncompare.record import Run, is_run, mark_lost
from attncompare.sweep.folder import Job, Sweep, labels, tell
from attncompare.sweep.progress_board import ProgressBoard
from attncompare.text import counted, printable, printable_lines
from attncompare.training import Progress, on_interrupt, stoppable

_LAST_LINES = 8  # of a failed run's output
_PATIENCE = 0.5  # seconds until a Ctrl-C is noticed
_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Place:
    """Where a run of a sweep is trained: the sweep's folder, its group in W&B, and what of the machine the run gets.

    These are CPU threads of each process, where no config or record says (None: torch's default), and the GPUs that it may
    see, as ``CUDA_VISIBLE_DEVICES`` names them (None: all). ``made`` is what trains it: the code as the sweep began.
    """

    folder: Path
    group: str
    threads: int | None
    devices: str | None = None
    made: dict[str, str] | None = None


def train_member(job: Job, place: Place, **told: Any) -> Run:
    """Train one run of a sweep in this process, from where it stands; ``told`` are callbacks of ``training.train``.

    The process poses as the plain command line of this one run, because Lightning's ``ddp`` starts its other processes
    by running ``sys.argv`` again, which would start the whole sweep.
    """
    from attncompare.training import resume, train

    threads = [f"trainer.threads={place.threads}"] if place.threads and not job.config.trainer.threads else []
    own = [] if job.own_configs is None else ["--config-dir", str(job.own_configs)]
    words = [*own, *job.overrides, *threads] if job.begun is None else ["--resume", str(job.begun)]
    variants.also_in(job.own_configs)
    sys.argv = ["attncompare", "train", *words]
    sys.modules["__main__"].__spec__ = importlib.util.find_spec("attncompare.__main__")
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # `python -m` shall import nothing from the current folder
    if job.begun is not None:
        return resume(job.begun, threads=place.threads, made=place.made, **told)
    where: dict[str, Any] = {"parent": place.folder, "group": place.group}
    return train(job.config, job.overrides, **where, threads=place.threads, made=place.made, **told)


@dataclass(frozen=True)
class Share:
    """``workers`` runs train at the same time, each with ``threads``, and with the GPUs in ``devices`` (None: all)."""

    workers: int
    threads: int
    devices: list[str | None]


def share(jobs: Sequence[Job], workers: int | None, cores: int, gpus: Sequence[str]) -> Share:
    """Divide a machine between ``jobs``, or refuse them where it has too few GPUs.

    A run of several processes (``trainer.devices``) needs as many cores or GPUs. ``workers`` train at the same time; None:
    one for each GPU, or for each core where none is used. ``gpus`` are as ``CUDA_VISIBLE_DEVICES`` names them.
    """
    trainers = [job.config.trainer for job in jobs]
    if any(trainer.accelerator == "gpu" for trainer in trainers) and not gpus:
        raise Refused("trainer.accelerator=gpu: no CUDA device found; use trainer=auto or trainer=cpu")
    processes = max(trainer.devices for trainer in trainers)
    use = gpus if any(trainer.accelerator != "cpu" for trainer in trainers) else ()
    if 0 < len(use) < processes:
        found = counted(len(gpus), "CUDA device")
        raise Refused(f"trainer.devices={processes}: only {found} found; use fewer, or trainer=cpu")
    groups = [",".join(use[first : first + processes]) for first in range(0, len(use) - processes + 1, processes)]
    workers = min(workers or max(1, len(groups) or cores // processes), len(jobs))
    devices = [groups[number % len(groups)] if groups else None for number in range(workers)]
    return Share(workers, max(1, cores // (workers * processes)), devices)


def cores_here() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus_here(processes: Any) -> list[str]:
    """Return the GPUs that torch sees, as ``CUDA_VISIBLE_DEVICES`` names them; a process of ``processes`` asks it."""
    try:
        with ProcessPoolExecutor(1, mp_context=processes) as executor:
            count = executor.submit(_gpu_count).result()
    except BrokenProcessPool:
        raise RunFailed("torch could not tell how many GPUs there are; train with trainer=cpu") from None
    named = os.environ.get(_VISIBLE)
    return (named.split(",") if named else list(map(str, range(count))))[:count]


def _gpu_count() -> int:
    import torch

    return torch.cuda.device_count()


def share_here(jobs: Sequence[Job], workers: int | None) -> Share:
    """Divide this machine between ``jobs``; raises Refused as :func:`share` does."""
    gpus = gpus_here(_processes()) if any(job.config.trainer.accelerator != "cpu" for job in jobs) else []
    return share(jobs, workers, cores_here(), gpus)


def train_here(sweep: Sweep, jobs: Sequence[Job], console: Console, *, workers: int | None) -> None:
    """Train ``jobs``, ``workers`` at a time; how each ended stands in its record, and is told.

    After ``sweep.max_time`` no run begins and those at work stop, as at Ctrl-C.
    Raises Refused if this machine cannot train them; nothing was started; KeyboardInterrupt after all running ones
    closed their records.
    """
    processes, shared = _processes(), share_here(jobs, workers)
    limit = jobs[0].config.sweep.max_time
    deadline = math.inf if limit is None else time.monotonic() + limit
    tell(console, f"{counted(len(jobs), 'run')}, {shared.workers} at a time, in {sweep.path}")
    names = labels(jobs)
    waiting, free = deque(range(len(jobs))), deque(range(shared.workers))
    running: dict[Any, _Worker] = {}
    interrupted: list[bool] = []  # no exception, which could tear apart a message that is being received
    with ProgressBoard(names, console) as board, on_interrupt(lambda *_: interrupted.append(True)):
        while running or (waiting and not interrupted):
            while waiting and free and not interrupted:
                number, place = waiting.popleft(), free.popleft()
                where = Place(sweep.path, sweep.group, shared.threads, shared.devices[place], sweep.file.made_with)
                output = sweep.output_of(jobs[number].config.hash())
                mine, theirs = processes.Pipe()
                process = processes.Process(target=work, args=(jobs[number], where, output, theirs))
                process.start()
                theirs.close()
                running[mine] = _Worker(number, place, process, output, jobs[number].begun)
            ready: list[Any] = wait(list(running), _PATIENCE)
            if time.monotonic() >= deadline and not interrupted:
                interrupted.append(True)
                board.print(f"sweep.max_time={limit:g} s are over: what is being trained stops, to be resumed")
            for connection in ready:
                worker = running[connection]
                try:
                    message = connection.recv()
                except (EOFError, OSError):  # the process is gone, perhaps in the middle of a message
                    del running[connection]
                    free.append(worker.place)
                    connection.close()
                    board.finish(worker.number, worker.close())
                    if lines := worker.report():
                        board.print("\n  ".join([f"{names[worker.number]}: {lines[0]}", *lines[1:]]))
                    continue
                if isinstance(message, Progress):
                    board.update(worker.number, message)
                elif isinstance(message, Path):
                    worker.record = message
                else:
                    worker.state = message
            for worker in running.values() if interrupted else ():
                worker.process.terminate()  # whether the terminal told it already or not
    if interrupted:
        raise KeyboardInterrupt


@dataclass
class _Worker:
    """The process that trains a run, its place among those at work, and what is known of the run."""

    number: int
    place: int
    process: BaseProcess
    output: Path
    record: Path | None
    state: str = ""

    def close(self) -> str:
        """Return how the run ended; one whose process was killed is closed as failed."""
        self.process.join()
        if not self.state:
            why = _death(self.process.exitcode)
            self.state = f"failed ({why})"
            if self.record:
                with contextlib.suppress(AttnCompareError, OSError):  # the other runs go on
                    mark_lost(self.record, f"its process ended without closing the record ({why})")
        if self.state == "interrupted" and not (self.record and is_run(self.record)):
            self.output.unlink(missing_ok=True)  # it has not begun, and has not failed
        return self.state

    def report(self) -> list[str]:
        """Return why the run failed, or what W&B lacks of a finished one, in lines; none where there is nothing to tell."""
        if self.state == "interrupted":
            return []
        try:
            if self.state == "finished":
                return wandb_problem(Run.open(self.record or self.output))
            lines = self.output.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        except (Refused, OSError) as error:  # no reason to stop the other runs
            lines = [str(error)]
        return [f"{self.state}; its last lines:", *map(printable, lines)]


def wandb_problem(run: Run) -> list[str]:
    """Return what W&B lacks of a finished run in words, if anything."""
    problem = run.summary["wandb"].get("problem")
    return [f"W&B: {problem}; the record is whole"] if problem else []


def work(job: Job, place: Place, output: Path, connection: Connection) -> None:
    """Train one run in this process and send the parent its folder, its progress and its final state."""
    with stoppable() as stop:
        state = "failed"

        def send(message: Any) -> None:
            try:
                connection.send(message)
            except OSError:
                stop.ask("the end of its sweep's process")

        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            with output.open("w") as file:  # also for what is written below Python, and by other processes of the run
                os.dup2(file.fileno(), sys.stdout.fileno())
                os.dup2(file.fileno(), sys.stderr.fileno())
            if place.devices is not None:
                os.environ[_VISIBLE] = place.devices  # before anything asks for a GPU
            keep_freed_memory()
            train_member(job, place, on_progress=send, on_folder=send)
            state = "finished"
        except KeyboardInterrupt:
            state = "interrupted"
        except AttnCompareError as error:
            print(printable_lines(f"error: {error}"), file=sys.stderr)
        except Exception:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            with contextlib.suppress(OSError):  # the parent is gone
                connection.send(state)
            connection.close()


def _death(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    return f"{name}: the system may have run out of memory" if name == "SIGKILL" else name


def _processes() -> Any:
    """Return the source of processes; Ctrl-C is meant for the runs, not for it."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        raise Refused("-m: this system cannot fork the processes of a sweep; train the runs one by one, or use WSL")
    from multiprocessing import forkserver, resource_tracker

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["attncompare.training.run"])
    resource_tracker.ensure_running()  # here, because it would lift the block below
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # inherited by all that comes from there
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context
