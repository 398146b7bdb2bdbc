"""The other processes of a run, as the first one sees them: it starts them, waits for them and outlives them."""

import contextlib
import logging
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import distributed

from attncompare.config import RunConfig
from attncompare.errors import RunFailed
from attncompare.training.checkpoint import unpack
from attncompare.training.processes_deaths import death
from attncompare.training.processes_following import LOST, Orders, follow
from attncompare.training.processes_group import accelerator, joined

log = logging.getLogger("attncompare")

_PATIENCE = 0.2  # seconds between two looks whether the run shall stop
_GRACE = 5.0  # seconds until the system has told of a process that is gone
_LINES = 20  # of what a lost process said last


@contextmanager
def other_processes(config: RunConfig, threads: int) -> Iterator["Others | None"]:
    """Start the other processes of a run, which prepare its data meanwhile; in the end none of them is left.

    Args:
        config: the run. With ``trainer.devices=1`` there are no others: None.
        threads: CPU threads of each.
    """
    if config.trainer.devices == 1:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="attncompare-") as meeting:
        others = Others(config, threads, Path(meeting))
        try:
            yield others
        finally:
            others.end()


class Others:
    """Processes number 1 and up; this one is number 0. People read numbers from 1.

    Args:
        config: the run.
        threads: CPU threads of each.
        meeting: a folder that these processes alone share.
    """

    def __init__(self, config: RunConfig, threads: int, meeting: Path) -> None:
        self.world, self._meeting = config.trainer.devices, meeting
        self._processes: list[BaseProcess] = []
        self._connections: list[Connection] = []
        self._said: dict[int, str] = {}
        context = _source(config)
        for rank in range(1, self.world):
            mine, theirs = context.Pipe()
            # The server that forks it may have another environment than this process has by now.
            orders = Orders(config, rank, threads, meeting, dict(os.environ))
            process = context.Process(target=follow, args=(orders, theirs), daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
            self._connections.append(mine)

    @contextmanager
    def training(self, device: torch.device, resumed: Path | None, check: Callable[[], None]) -> Iterator[None]:
        """Train together with them: from a checkpoint in the folder ``resumed``, if given.

        Args:
            device: what this process computes on.
            resumed: the run's folder.
            check: called while it waits; may raise.

        Raises:
            RunFailed: if one of them is gone.
        """
        for rank in range(1, self.world):
            self._hear(rank, "ready", check)
        self._tell(resumed)
        try:
            with joined(self._meeting, 0, self.world, device), self._freed(device):
                yield
        except RuntimeError as error:  # also what torch raises where another process is gone
            log.error("the processes do not train together any more: %s", error)
            self._blame()
            raise

    def random_states(self, step: int) -> list[dict[str, Any]]:
        """Return the random states of each of them after ``step``; they wait then until :meth:`go_on`."""
        return [unpack(self._hear(rank, "random", lambda: None), step) for rank in range(1, self.world)]

    def go_on(self, over: bool) -> None:
        """Let them train on, or end if it is ``over``."""
        self._tell(over)

    def check(self) -> None:
        """Look whether all of them are there, while they have nothing to say.

        Raises:
            RunFailed: if one is gone.
        """
        for rank, process in enumerate(self._processes, 1):
            if process.exitcode:
                self._lost(rank)

    def end(self) -> None:
        """End those that are left: all that matters is with this process."""
        for process, connection in zip(self._processes, self._connections, strict=True):
            process.kill()
            process.join()
            connection.close()

    @contextmanager
    def _freed(self, device: torch.device) -> Iterator[None]:
        """On a GPU, let this process not wait for one that is gone: gloo notices by itself, nccl does not."""
        if device.type != "cuda":
            yield
            return
        over = threading.Event()
        watch = threading.Thread(target=self._free, args=(over,), daemon=True)
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()

    def _free(self, over: threading.Event) -> None:
        while not over.wait(_PATIENCE):
            if wait([process.sentinel for process in self._processes], 0) and not over.wait(_GRACE):
                assert distributed.group.WORLD is not None
                distributed.group.WORLD.abort()
                return

    def _tell(self, message: Path | bool | None) -> None:
        for connection in self._connections:
            with contextlib.suppress(OSError):  # it is gone, which shows at the next step
                connection.send(message)

    def _hear(self, rank: int, kind: str, check: Callable[[], None]) -> Any:
        """Return what process ``rank`` sends, which must be of ``kind``."""
        connection, process = self._connections[rank - 1], self._processes[rank - 1]
        while not wait([connection, process.sentinel], _PATIENCE):
            check()
        try:
            said, content = connection.recv()
        except (EOFError, OSError):
            self._lost(rank)
        if said != kind:
            self._said[rank] = content
            self._lost(rank)
        return content

    def _blame(self) -> None:
        """Raise RunFailed if a process is gone by itself: where one is, all others lose their connection to it."""
        until = time.monotonic() + _GRACE
        while time.monotonic() < until:
            time.sleep(_PATIENCE)  # the system tells of the end of a process a moment after its connections
            codes = {rank: process.exitcode for rank, process in enumerate(self._processes, 1)}
            gone = [rank for rank, code in codes.items() if code not in (None, 0, LOST)]
            if gone:
                self._lost(min(gone, key=lambda rank: codes[rank] or 0))  # one that was killed before one that failed
            if None not in codes.values():
                return

    def _lost(self, rank: int) -> NoReturn:
        """Raise RunFailed: process ``rank`` is gone, or another one that it trained with."""
        process = self._processes[rank - 1]
        process.join(_GRACE)
        if process.exitcode == LOST:
            self._blame()
        output = self._meeting / f"process-{rank}.log"
        lines = output.read_text(errors="replace").splitlines()[-_LINES:] if output.exists() else []
        for line in lines:
            log.error("process %d: %s", rank + 1, line)
        why = self._said.get(rank) or self._last_words(rank) or f"ended without a word ({death(process.exitcode)})"
        raise RunFailed(f"process {rank + 1} of {self.world} {why}")

    def _last_words(self, rank: int) -> str | None:
        """Return what a process that failed said of it, if it could."""
        connection = self._connections[rank - 1]
        with contextlib.suppress(EOFError, OSError):
            while connection.poll(0):
                said, content = connection.recv()
                if said == "failed":
                    return content
        return None


def _source(config: RunConfig) -> Any:
    """Return the source of processes: a server that has imported everything once, or this process itself.

    The run of a sweep comes from such a server, has everything and has done nothing yet, so it can be forked, which is
    safe with one thread and without CUDA. A server of its own would cost it seconds.
    """
    tasks = Path("/proc/self/task")
    alone = multiprocessing.parent_process() is not None and tasks.is_dir() and len(list(tasks.iterdir())) == 1
    if alone and accelerator(config) == "cpu":
        return multiprocessing.get_context("fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["attncompare.training.run"])
    return context
