"""Trainings that take turns, each in a process of its own, as whoever trains has it.

In one process they would disturb each other: OpenMP keeps threads for every thread that computes, and where those are more
than the processors, they fall asleep between any two operators, which makes the steps of a small model half as long again.
Memory, random generators and flags of torch are global as well.
"""

import contextlib
import gc
import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch

from attncompare.errors import RunFailed
from attncompare.training.processes_deaths import death

Pause = Callable[[], None]
"""What a training calls when it is ready to begin, and after each of its turns; it returns when the next one begins."""


_PATIENCE = 20.0  # seconds


@dataclass(frozen=True)
class _Ended:
    """How a training ended: with what it returned, or with an error in words."""

    result: Any = None
    error: str | None = None


class _LeftHere(RunFailed):
    """Ends a training that nobody wants to go on."""


class Apart:
    """A training in a process of its own, which stands still between turns.

    Args:
        training: a function of a module, called with :data:`Pause` and the arguments.
        arguments: of the training, pickled on their way.
    """

    def __init__(self, training: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["attncompare.bench.train_tables"])
        self._connection, theirs = context.Pipe()
        orders = (theirs, training, arguments, torch.get_num_threads())
        self._process = context.Process(target=_train, args=orders, name="benchmarked-training", daemon=True)
        self._process.start()
        theirs.close()
        self._ended: _Ended | None = None
        self._wait()

    def turn(self) -> None:
        """Do the steps up to the next pause.

        Raises:
            RunFailed: if the training fails.
        """
        self._tell(go_on=True)
        self._wait()

    def finish(self) -> Any:
        """Let it come to its end, and return what it returns."""
        while self._ended is None:
            self.turn()
        self._process.join()
        return self._ended.result

    def leave(self) -> None:
        """End it where it stands."""
        self._tell(go_on=False)
        self._process.join(_PATIENCE)
        self._process.kill()
        self._process.join()

    def _tell(self, *, go_on: bool) -> None:
        with contextlib.suppress(OSError):  # one that is gone says so when it is waited for
            self._connection.send(go_on)

    def _wait(self) -> None:
        try:
            self._ended = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self._ended = _Ended(error=death(self._process.exitcode))
        if self._ended is not None and self._ended.error is not None:
            raise RunFailed(f"a training of the benchmark failed: {self._ended.error}")


def _train(connection: Connection, training: Callable[..., Any], arguments: tuple[Any, ...], threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the benchmark, which ends its trainings
    torch.set_num_threads(threads)
    gc.freeze()  # what is imported by now, as in the command (attncompare.cli.collection)

    def pause() -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        connection.send(None)
        if not connection.recv():
            raise _LeftHere

    try:
        ended = _Ended(training(pause, *arguments))
    except _LeftHere:
        return
    except Exception as error:
        ended = _Ended(error=f"{type(error).__name__}: {error}")
    connection.send(ended)
