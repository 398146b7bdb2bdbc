"""New folders for runs and sweeps: named for people, never the same one twice (C7). No program reads these names."""

import contextlib
import itertools
import tempfile
from datetime import datetime
from pathlib import Path

from attncompare.config import RunConfig
from attncompare.errors import Refused


def require_writable(folder: Path, what: str, advice: str = "give another folder") -> None:
    """Refuse a folder in which nothing can be made, before any work was done; nothing is left behind.

    Args:
        folder: where something will be written; it may not be there yet.
        what: what it is called in the message.
        advice: what to do, for the message.

    Raises:
        Refused: with the reason.
    """
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    try:
        tempfile.TemporaryDirectory(dir=existing, prefix=".attncompare-").cleanup()
    except OSError as error:
        raise Refused(f"{what}: cannot write there ({existing}: {error.strerror}); {advice}") from None


def new_folder(runs: str, parent: Path, stem: str) -> Path:
    """Make and return the folder ``parent/stem``, with a number behind it where that name is taken already.

    Args:
        runs: the config's ``runs``, for the message.
        parent: where to put it; made too if need be.
        stem: its name.

    Raises:
        Refused: if it cannot be made.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = parent / (stem if number == 1 else f"{stem}-{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise Refused(f"runs={runs}: cannot write there ({parent}: {error.strerror}); give another folder") from None
    raise AssertionError("there is always another number")


def create_folder(config: RunConfig, parent: Path | None = None) -> Path:
    """Make a new folder for a run: ``<runs>/<date>/<time>-<task>-<attention>-h<heads>-s<seed>-<hash>``.

    Args:
        config: what will be trained.
        parent: where to put the folder instead of ``<runs>/<date>``, for example a sweep's folder.

    Raises:
        Refused: if the folder cannot be made.
    """
    now, variant = datetime.now(), config.attention
    stem = f"{now:%H-%M-%S}-{config.task.name}-{variant.name}-h{variant.heads}-s{config.seed}-{config.hash()[:6]}"
    return new_folder(config.runs, parent or Path(config.runs) / f"{now:%Y-%m-%d}", stem)
