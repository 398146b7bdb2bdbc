"""Ctrl-C and SIGTERM: the first one ends a run, and no further one disturbs the closing of its record.

While a model trains, the first is kept until the step is done, so that a checkpoint can be written and nothing is torn
in the middle (:meth:`Stop.deferred`). Where Ctrl-C was switched off from outside, as for a shell's background jobs, it
stays so.

A process of the command line that has begun nothing yet ends at once: Hydra and libraries that are being imported
would take the exception for an error of their own, or drop it. Where an import comes later, the first waits for its end.
"""

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # a person at the terminal; a cluster's scheduler
_AGAIN = 0.05  # seconds until a signal that came during an import is heard again
INTERRUPTED = 130  # the exit code


class Stop:
    """A signal handler that raises KeyboardInterrupt once, at once or when it is asked.

    Args:
        begun: whether there is anything to close from the start; else the first signal ends the process.

    Attributes:
        begun: as given.
        reason: what asked for the stop, for the record; None while nothing did.
    """

    def __init__(self, begun: bool = True) -> None:
        self.reason: str | None = None
        self.begun = self._begun = begun
        self._deferred = False
        self._imports = _imports(sys._getframe())  # of the script that listens, which may itself be imported

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Hear a signal; only the first counts."""
        if self.reason is not None:
            return
        if not self._begun:
            with contextlib.suppress(OSError):
                os.write(2, interrupted().encode())  # below Python's streams, which may be in use
            os._exit(INTERRUPTED)
        if not self._deferred and _imports(frame) > self._imports:
            timer = threading.Timer(_AGAIN, _thread.interrupt_main, (number,))
            timer.daemon = True
            timer.start()
            return
        self.ask("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

    def ask(self, reason: str) -> None:
        """Ask for the stop, as a signal does."""
        self.reason = reason
        if not self._deferred:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if a stop was asked for."""
        if self.reason is not None:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Raise nothing by itself until the end; whoever works in between calls :meth:`check` where it can end."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    @contextlib.contextmanager
    def having(self, begun: bool) -> Iterator[None]:
        """Until the end, close what was begun, or else end the process."""
        before, self._begun = self._begun, begun
        try:
            yield
        finally:
            self._begun = before

    def listen(self) -> None:
        """Become the handler of both signals again, after a library put its own in front."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self)


def _imports(frame: FrameType | None) -> int:
    """Return how many frames of Python's import system are at work below ``frame``."""
    count = 0
    while frame is not None:
        count += frame.f_code.co_filename.startswith("<frozen importlib")
        frame = frame.f_back
    return count


def first_interrupt_for_good() -> None:
    """From now on, end the process at the first Ctrl-C or SIGTERM, or raise KeyboardInterrupt inside :func:`stoppable`.

    All further ones are ignored to the end of the process.
    """
    Stop(begun=False).listen()


def interrupted() -> str:
    """Return the line that says so, for the first process of a run; the others that ddp starts say nothing."""
    return "interrupted\n" if os.environ.get("LOCAL_RANK", "0") == "0" else ""


def no_more_interrupts() -> None:
    """Ignore Ctrl-C and SIGTERM from now on to the end of the process."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """Raise KeyboardInterrupt at the first Ctrl-C or SIGTERM and ignore all others until the end; nested ones count as one."""
    handlers = [signal.getsignal(number) for number in _SIGNALS]
    stop = next((handler for handler in handlers if isinstance(handler, Stop)), None) or Stop()
    with _handling(stop), stop.having(begun=True):
        yield stop


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Inside :func:`stoppable`, where a command has yet to begin its work: be as outside of it until the end."""
    stop = signal.getsignal(signal.SIGTERM)
    with stop.having(stop.begun) if isinstance(stop, Stop) else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def on_interrupt(act: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call ``act`` at every Ctrl-C and SIGTERM; outside the main thread nothing changes."""
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: FrameType | None) -> None:
        if isinstance(before, Stop):
            before.reason = before.reason or signal.Signals(number).name
        act(number, frame)

    with _handling(handle):
        yield


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    mine = [number for number in _SIGNALS if before[number] not in (signal.SIG_IGN, handler)]
    for number in mine:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])
