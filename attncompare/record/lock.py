"""One process at a time trains a run: a lock on its ``run.log``, which ends with the process, however that ends."""

import fcntl
import os
import time
from pathlib import Path

from attncompare.errors import Refused

FILE = "run.log"
_TRIES, _PAUSE = 10, 0.1  # another process that looks whether the run is alive holds the lock for a moment


class RunLock:
    """The lock of the run in ``folder``, held from here until :meth:`release` or the end of the process.

    Raises:
        Refused: if another process holds it, or nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise Refused(f"{folder}: cannot be trained there ({FILE}: {error.strerror})") from None
        try:
            for _ in range(_TRIES):
                if _locked_now(self._file, fcntl.LOCK_EX):
                    return
                time.sleep(_PAUSE)
        except OSError as error:
            os.close(self._file)
            raise Refused(f"{folder}: its file system has no locks ({error.strerror}); give another folder") from None
        os.close(self._file)
        raise Refused(f"{folder}: another process is training this run; wait until it has ended")

    def release(self) -> None:
        """Let others have it."""
        os.close(self._file)


def is_locked(folder: Path) -> bool:
    """Return whether a process is training the run in ``folder``."""
    try:
        file = os.open(folder / FILE, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:  # no log, so nobody writes it
        return False
    try:
        return not _locked_now(file, fcntl.LOCK_SH)
    except OSError:  # a file system without locks: nobody can hold one there
        return False
    finally:
        os.close(file)


def _locked_now(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
