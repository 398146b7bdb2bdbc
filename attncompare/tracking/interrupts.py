"""Ctrl-C: the first one ends a run, and no further one disturbs the closing of its record.

Lightning means to ignore further ones too, but restores the handler before it hands control back. Where Ctrl-C was
switched off from outside, as for a shell's background jobs, it stays so.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class _FirstOnly:
    """A handler that raises KeyboardInterrupt once."""

    def __init__(self) -> None:
        self.told = False

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  (the signature is Python's)
        if not self.told:
            self.told = True
            raise KeyboardInterrupt


def first_interrupt_for_good() -> None:
    """From now on to the end of the process, raise KeyboardInterrupt at the first Ctrl-C and ignore all others."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _FirstOnly())


@contextmanager
def first_interrupt_only() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first Ctrl-C and ignore all others until the end; nested ones count as one."""
    if isinstance(signal.getsignal(signal.SIGINT), _FirstOnly):
        yield
    else:
        with on_interrupt(_FirstOnly()):
            yield


@contextmanager
def on_interrupt(act: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Call ``act`` at every Ctrl-C; outside the main thread nothing changes."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if isinstance(before, _FirstOnly):
            before.told = True
        act(number, frame)

    signal.signal(signal.SIGINT, act if isinstance(act, _FirstOnly) else handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
