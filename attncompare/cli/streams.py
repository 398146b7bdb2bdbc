"""Standard output and standard error of the console script, where nobody reads them any more or the device is full.

Results go to standard output: a command whose result is lost has failed. Messages go to standard error: they are a
courtesy, and no training ends because nobody listens.
"""

import errno
import io
import os
import sys
from typing import NoReturn, TextIO

from attncompare.errors import AttnCompareError


class OutputLost(AttnCompareError):  # noqa: N818 (it reads as what happened)
    """Standard output takes no more; without a message where the reader of a pipe has gone, who wants to hear nothing."""


class _Stream(io.TextIOWrapper):
    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._to_nowhere()
            self._lost(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._to_nowhere()
            self._lost(error)

    def _to_nowhere(self) -> None:
        """Send what is left, and all that follows, to nowhere: else Python would try again while it ends, and complain."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)

    def _lost(self, error: OSError) -> None:
        raise NotImplementedError


class _Messages(_Stream):
    def _lost(self, error: OSError) -> None:
        """Go on: it was a courtesy."""


class _Results(_Stream):
    def _lost(self, error: OSError) -> NoReturn:
        why = "" if error.errno == errno.EPIPE else f"standard output cannot be written ({error.strerror})"
        raise OutputLost(why) from None


def own_streams() -> None:
    """Make standard output raise :class:`OutputLost` where it fails, and standard error go on in silence.

    Those that were closed from outside lead nowhere from now on: else a file of a run could get their number, and be
    written by whatever prints.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            lowest_free = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(lowest_free, True)
    sys.stdout = _opened(_Results, 1, sys.stdout)
    sys.stderr = _opened(_Messages, 2, sys.stderr)


def _opened(kind: type[_Stream], number: int, before: TextIO | None) -> _Stream:
    file = open(number, "wb", closefd=False)  # noqa: SIM115 (a number is no path; it stays open to the end)
    if not isinstance(before, io.TextIOWrapper):
        return kind(file, encoding="utf-8", errors="backslashreplace")
    at_once = before.line_buffering or before.write_through
    return kind(file, encoding=before.encoding, errors=before.errors, line_buffering=at_once)
