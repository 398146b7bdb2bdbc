"""``run.log``: the messages of a run, and the lock on that file that says whether a process is training the run."""

import logging
import os
import sys
import time
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from attncompare.errors import Refused
from attncompare.record.files import AS_IT_IS

try:
    import fcntl
except ImportError:  # Windows, where nobody could read a log that is locked
    fcntl = None  # type: ignore[assignment]

LOG_FILE = "run.log"
_LOCK_FILE = ".run.lock"  # without fcntl
_TRIES, _PAUSE = 10, 0.1  # a process that asks whether the run is alive holds the lock for a moment
# Lightning's messages about devices and products are left out.
_LEVELS = {"attncompare": logging.INFO} | dict.fromkeys(
    ("pytorch_lightning", "lightning_fabric", "py.warnings"), logging.WARNING
)


class RunLock:
    """The lock of the run in ``folder``, held from here until :meth:`release` or the end of the process.

    Refused if another process holds it, or nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        busy = Refused(f"{folder}: another process is training this run; wait until it has ended")
        if fcntl is None:
            lock = FileLock(folder / _LOCK_FILE)
            try:
                lock.acquire(timeout=_TRIES * _PAUSE)
            except Timeout:
                raise busy from None
            self.release = lock.release
            return
        try:
            self._file = _opened(folder, "ab")
        except OSError as error:
            raise Refused(f"{folder}: cannot be trained there ({LOG_FILE}: {error.strerror})") from None
        try:
            for _ in range(_TRIES):
                if _lock(self._file, fcntl.LOCK_EX):
                    return
                time.sleep(_PAUSE)
        except OSError as error:
            raise Refused(f"{folder}: its file system has no locks ({error.strerror}); give another folder") from None
        raise busy

    def release(self) -> None:
        """Let other processes have it."""
        self._file.close()


def is_locked(folder: Path) -> bool:
    """Return whether a process is training the run in ``folder``."""
    try:
        if fcntl is None:
            if (folder / _LOCK_FILE).exists():
                FileLock(folder / _LOCK_FILE).acquire(timeout=0).lock.release()
            return False
        with _opened(folder, "rb") as file:
            return not _lock(file, fcntl.LOCK_SH)
    except Timeout:
        return True
    except OSError:  # without a log nobody writes it; without locks in the file system nobody can hold one
        return False


def _opened(folder: Path, mode: str) -> IO[bytes]:
    """Open the log without following a link and without waiting for the other end of a pipe."""
    return open(folder / LOG_FILE, mode, opener=lambda path, own: os.open(path, own | AS_IT_IS, 0o644))


def _lock(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class RunLog:
    """Collects messages and warnings inside ``with``; they are written as soon as :meth:`write_to` names a file."""

    def __init__(self) -> None:
        self._buffer = MemoryHandler(capacity=sys.maxsize, flushLevel=sys.maxsize, flushOnClose=False)
        self._file: logging.Handler = logging.NullHandler()
        self._loggers = [logging.getLogger(name) for name in _LEVELS]
        self._before = [(logger.handlers, logger.level, logger.propagate) for logger in self._loggers]

    def __enter__(self) -> "RunLog":
        logging.captureWarnings(True)
        self._send_to(self._buffer)
        return self

    def write_to(self, path: Path) -> None:
        """Write to ``path`` what was collected so far, and all that follows."""
        self._file = logging.FileHandler(path, encoding="utf-8")
        # What cannot be written is left out: whatever the run writes beside it fails loudly enough.
        self._file.handleError = lambda record: None  # type: ignore[method-assign]  # noqa: ARG005
        self._file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._buffer.setTarget(self._file)
        self._buffer.flush()
        self._send_to(self._file)

    def __exit__(self, *_: object) -> None:
        logging.captureWarnings(False)
        for logger, (handlers, level, propagate) in zip(self._loggers, self._before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        self._buffer.close()
        self._file.close()

    def _send_to(self, handler: logging.Handler) -> None:
        for logger in self._loggers:
            logger.disabled = False  # Hydra disables all loggers that exist when it starts
            logger.handlers, logger.propagate = [handler], False
            logger.setLevel(_LEVELS[logger.name])
