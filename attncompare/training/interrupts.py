"""Ctrl-C and SIGTERM: the first one ends a run, and no further one disturbs the closing of its record.

While a model trains, the first is kept until the step is done, so that a checkpoint can be written and nothing is torn
in the middle (:meth:`Stop.deferred`). Where Ctrl-C was switched off from outside, as for a shell's background jobs, it
stays so.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # a person at the terminal; a cluster's scheduler


class Stop:
    """A signal handler that raises KeyboardInterrupt once, at once or when it is asked.

    Attributes:
        reason: what asked for the stop, for the record; None while nothing did.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._deferred = False

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  (the signature is Python's)
        """Hear a signal; only the first counts."""
        if self.reason is None:
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

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Raise nothing by itself until the end; whoever works in between calls :meth:`check` where it can end."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def listen(self) -> None:
        """Become the handler of both signals again, after a library put its own in front."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self)


def first_interrupt_for_good() -> None:
    """From now on to the end of the process, raise KeyboardInterrupt at the first Ctrl-C and ignore all others."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, Stop())


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Raise KeyboardInterrupt at the first Ctrl-C or SIGTERM and ignore all others until the end; nested ones count as one."""
    handlers = [signal.getsignal(number) for number in _SIGNALS]
    stop = next((handler for handler in handlers if isinstance(handler, Stop)), None) or Stop()
    with _handling(stop):
        yield stop


@contextmanager
def on_interrupt(act: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call ``act`` at every Ctrl-C and SIGTERM; outside the main thread nothing changes."""
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: FrameType | None) -> None:
        if isinstance(before, Stop):
            before.reason = before.reason or signal.Signals(number).name
        act(number, frame)

    with _handling(handle):
        yield


@contextmanager
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
