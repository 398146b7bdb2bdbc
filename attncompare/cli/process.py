"""What a process of the console script needs: streams that may break off, quick imports.

Results go to standard output: a command whose result is lost has failed. Messages go to standard error: no training
ends because nobody reads them.
"""

import errno
import gc
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from attncompare.errors import AttnCompareError
from attncompare.training.interrupts import starting


class OutputLost(AttnCompareError):  # noqa: N818 (it reads as what happened)
    """Standard output takes no more; without a message where the reader of a pipe has gone and wants to hear nothing."""


@contextmanager
def importing() -> Iterator[None]:
    """Import large libraries, before a command begins, without looking for garbage: that is a sixth of the time."""
    gc.disable()
    try:
        with starting():
            yield
    finally:
        gc.enable()
        gc.freeze()


@contextmanager
def own_process() -> Iterator[None]:
    """Let a command own the streams of its process; raises OutputLost if its result could not be written."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed from outside: else a file of a run could get its number, and be written by what prints
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout, sys.stderr = (_opened(number, stream) for number, stream in ((1, sys.stdout), (2, sys.stderr)))
    yield
    sys.stdout.flush()  # here, because Python's own end tells nobody what was lost


class _Stream(io.TextIOWrapper):
    """Where it cannot be written: standard output raises :class:`OutputLost`, standard error leads nowhere."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._lost(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._lost(error)

    def _lost(self, error: OSError) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # else Python would try again while it ends, and complain
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if self.fileno() == 1:
            why = "" if error.errno == errno.EPIPE else f"standard output cannot be written ({error.strerror})"
            raise OutputLost(why) from None


def _opened(number: int, before: TextIO | None) -> _Stream:
    file = open(number, "wb", closefd=False)  # noqa: SIM115 (a number is no path; it stays open to the end)
    if not isinstance(before, io.TextIOWrapper):
        return _Stream(file, encoding="utf-8", errors="backslashreplace")
    at_once = before.line_buffering or before.write_through
    return _Stream(file, encoding=before.encoding, errors=before.errors, line_buffering=at_once)
