"""Reading the files of a record that a stranger may have made: nothing outside its folder, nothing endless.

A record is a folder somebody may have downloaded. Whatever stands in it is data: a file is read only if it really lies
in that folder, is a plain file and not larger than its kind ever gets; yaml and JSON are taken as plain values.
"""

import os
import stat
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

from attncompare.errors import Refused
from attncompare.config.plain_values import safe_json, safe_yaml

__all__ = ["LIMIT", "MEBIBYTE", "WEIGHTS_LIMIT", "read_inside", "require_no_way_out", "safe_json", "safe_yaml"]

MEBIBYTE = 2**20
LIMIT = 256 * MEBIBYTE
"""Bytes of a record's file, unless its kind is known to be larger or smaller."""
WEIGHTS_LIMIT = 8192 * MEBIBYTE
"""Bytes of a file of weights: two thousand million parameters."""


def read_inside(folder: Path, name: str, limit: int = LIMIT) -> bytes:
    """Return the content of the file ``name`` below ``folder``.

    Args:
        folder: the record's folder; it may itself be reached over a symbolic link.
        name: where the file is, relative to ``folder``, with ``/`` between names.
        limit: bytes; a larger file is not read.

    Raises:
        Refused: if it is missing or larger than ``limit``, if it or a folder between is a symbolic link, if it is no
            plain file (a pipe, a device), or if ``name`` leads out of ``folder``.
    """
    path = Path(folder) / name
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or not name.isprintable():
        raise Refused(f"{folder}: {name!r} is no file of this folder")
    try:
        with ExitStack() as opened:
            # Each name is opened from the folder before it, so that nothing can be exchanged for a link in between.
            here = _open(opened, str(folder), os.O_DIRECTORY)
            for part in parts[:-1]:
                _require(stat.S_ISDIR, part, here, path)
                here = _open(opened, part, os.O_DIRECTORY | os.O_NOFOLLOW, here)
            _require(stat.S_ISREG, parts[-1], here, path)
            file = _open(opened, parts[-1], os.O_NOFOLLOW | os.O_NONBLOCK, here)
            return _read(file, path, limit)
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror})") from None


def require_no_way_out(folder: Path) -> None:
    """Refuse a folder that holds links to places outside it, before anything is written there: it would be written
    where they lead. W&B's links to its own logs stay inside.

    Raises:
        Refused: names the first such link.
    """
    inside = Path(folder).resolve()
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in sorted([*folders, *files])):
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise Refused(f"{path}: a symbolic link that leads out of its folder; nothing is written there")
        if Path(parent) == Path(folder) and "wandb" in folders:
            folders.remove(
                "wandb"
            )  # its links are absolute, so those of a moved run lead away; W&B's folder is made anew


def _open(opened: ExitStack, name: str, flags: int, folder: int | None = None) -> int:
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=folder)
    opened.callback(os.close, descriptor)
    return descriptor


def _require(kind: Any, name: str, folder: int, path: Path) -> None:
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        raise Refused(f"{path}: '{name}' is a symbolic link; a record is read only from within its own folder")
    if not kind(mode):
        raise Refused(f"{path}: '{name}' is no {'folder' if kind is stat.S_ISDIR else 'plain file'}")


def _read(file: int, path: Path, limit: int) -> bytes:
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode):
        raise Refused(f"{path}: no plain file")
    if facts.st_size > limit:
        raise Refused(f"{path}: {facts.st_size} bytes, too large; at most {limit} are read")
    with open(file, "rb", closefd=False) as content:
        return content.read(facts.st_size)  # a larger number would be set aside in memory at once
