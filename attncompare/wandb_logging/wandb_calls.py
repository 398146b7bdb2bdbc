"""Calls into W&B that end: in time, or with an error, whatever has happened to W&B's own process."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import wandb

from attncompare.errors import Refused
from attncompare.wandb_logging.wandb_file import records

# Where W&B stages tables until they are uploaded, and where it logs: else that would be in the home folder.
_KEPT_INSIDE = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR")
_TEARDOWN_SECONDS = 10.0
_READ_SECONDS = 60.0
_GLANCE, _HURRY_SECONDS = 0.1, 1.0


def within(seconds: float, work: Callable[[], Any], hurry: Callable[[], bool] = lambda: False) -> Any:
    """Return what ``work()`` returns, or raise what it raises; a call that hangs is left behind.

    W&B waits without a limit for its process: one that was killed is noticed at once, one that hangs never. So each
    call is made in a thread that does nothing else meanwhile, and does not keep Python from ending.

    Args:
        seconds: how long it may take.
        work: the call.
        hurry: asked while it lasts; once it says yes, the call has but a moment left.

    Raises:
        TimeoutError: when it took too long.
    """
    outcome: Future[Any] = Future()

    _in_a_thread(work, outcome)
    # Not its result() with a limit: that could not be told from a TimeoutError of the work itself.
    done = threading.Event()
    outcome.add_done_callback(lambda _: done.set())
    end = time.monotonic() + seconds
    while not done.wait(min(_GLANCE, max(0.0, end - time.monotonic()))):
        if hurry():
            end, hurry = min(end, time.monotonic() + _HURRY_SECONDS), lambda: False
        if time.monotonic() >= end:
            raise TimeoutError(f"no answer within {seconds:g} s")
    return outcome.result()


_Call = tuple[Callable[[], Any], Future[Any]]
_idle: list[SimpleQueue[_Call]] = []  # where threads wait for their next call: beginning one costs more than most calls
os.register_at_fork(after_in_child=_idle.clear)  # a forked process has none of them


def _in_a_thread(work: Callable[[], Any], outcome: "Future[Any]") -> None:
    """Do ``work`` in a thread that is idle, or in a new one."""
    try:
        calls = _idle.pop()
    except IndexError:
        calls = SimpleQueue()
        threading.Thread(target=_answer, args=(calls,), name="wandb-call", daemon=True).start()
    calls.put((work, outcome))


def _answer(calls: SimpleQueue[_Call]) -> None:
    while True:
        work, outcome = calls.get()
        try:
            finish = partial(outcome.set_result, work())
        except BaseException as error:
            finish = partial(outcome.set_exception, error)
        _idle.append(calls)  # before anybody can have a further call
        finish()
        del work, outcome, finish  # nothing of them is kept alive while there is nothing to do


def one_line(error: BaseException) -> str:
    """Return what ``error`` says as one line, with its kind where that says more."""
    text = " ".join(str(error).split())
    known = isinstance(error, wandb.Error | TimeoutError) and text
    return text if known else f"{type(error).__name__}: {text}".rstrip(": ")


class OwnService:
    """W&B's process of one run: what it stages and logs stays in a folder, and it ends with the run.

    Args:
        folder: where W&B keeps its files from here until :meth:`end`.
    """

    def __init__(self, folder: Path) -> None:
        self._before = {name: os.environ.get(name) for name in _KEPT_INSIDE}
        os.environ.update(dict.fromkeys(_KEPT_INSIDE, str(folder)))
        _let_its_log_fail_quietly()

    def end(self, hurry: Callable[[], bool]) -> None:
        """End W&B's process and give the environment back. The next run begins with a process of its own."""
        try:
            # It says that the process is dead, where it is; nothing else can be wrong with a run that has ended.
            with contextlib.suppress(Exception, SystemExit):
                within(_TEARDOWN_SECONDS, wandb.teardown, hurry)
        finally:
            for name, value in self._before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _let_its_log_fail_quietly() -> None:
    """Keep W&B's log of its own doings from printing a traceback for each line that finds its disk full.

    Only for the handlers of W&B's logger: everybody else's still complain. What W&B lacks is noticed by the view.
    """
    logger = logging.getLogger("wandb")

    def add(hdlr: logging.Handler) -> None:
        hdlr.handleError = lambda record: None  # type: ignore[method-assign]  # noqa: ARG005  (Python's signature)
        logging.Logger.addHandler(logger, hdlr)

    logger.addHandler = add  # type: ignore[method-assign]


def kept_rows(file: Path) -> int:
    """Return how many rows of history W&B has kept in its ``file`` of a run, as its own tool reads them.

    Raises:
        OSError: if its file is not whole.
    """
    try:
        return sum(kind == "history" for kind, _ in records(file, _READ_SECONDS))
    except Refused as error:
        raise OSError(str(error)) from None
