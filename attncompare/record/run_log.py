"""``run.log``: messages of attncompare and Lightning and all warnings; the console stays free for progress."""

import logging
import sys
from logging.handlers import MemoryHandler
from pathlib import Path
from types import TracebackType

# Lightning's chatter about devices and products is left out.
_LEVELS = {"attncompare": logging.INFO, "pytorch_lightning": logging.WARNING, "py.warnings": logging.WARNING}


class _File(logging.FileHandler):
    """Leaves out what cannot be written: whatever else the run writes next to it fails aloud."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the name is logging's)
        """Do nothing; logging itself would print a traceback into the middle of the progress."""


class RunLog:
    """Collects messages from ``with`` on; they reach a file as soon as there is one, and nobody if there never is."""

    def __init__(self) -> None:
        self._buffer = MemoryHandler(capacity=sys.maxsize, flushLevel=sys.maxsize, flushOnClose=False)
        self._file: logging.FileHandler | None = None
        self._loggers = [logging.getLogger(name) for name in _LEVELS]
        self._before = [(logger.handlers, logger.level, logger.propagate) for logger in self._loggers]

    def __enter__(self) -> "RunLog":
        logging.captureWarnings(True)
        self._send_to(self._buffer)
        return self

    def write_to(self, path: Path) -> None:
        """Write what was said so far to ``path``, and all that follows."""
        self._file = _File(path, encoding="utf-8")
        self._file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._buffer.setTarget(self._file)
        self._buffer.flush()
        self._send_to(self._file)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.captureWarnings(False)
        for logger, (handlers, level, propagate) in zip(self._loggers, self._before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
        self._buffer.close()
        if self._file:
            self._file.close()

    def _send_to(self, handler: logging.Handler) -> None:
        for logger in self._loggers:
            logger.disabled = False  # Hydra disables all loggers that exist when it starts
            logger.handlers, logger.propagate = [handler], False
            logger.setLevel(_LEVELS[logger.name])
