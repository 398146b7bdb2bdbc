"""Files that are written whole or not at all (C7). Where a disk is full or gone, the error names the file."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from attncompare.errors import Refused

_KINDS = ((stat.S_ISDIR, "folder"), (stat.S_ISLNK, "symbolic link"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to a temporary name beside ``path``, sync it, and rename it into place.

    Raises:
        OSError: with ``filename``; what stood at ``path`` is still there, unless only the folder could not be synced.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with _named(path):
            # It may be left from a process that was killed, or be a link that lies in wait: such are not followed.
            temporary.unlink(missing_ok=True)
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        with _named(path):
            temporary.replace(path)
            _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def require_replaceable(path: Path, what: str) -> None:
    """Refuse to write to ``path`` by :func:`write_bytes` where something stands that is more than a file's content.

    Args:
        path: where something will be written; nothing need be there.
        what: what it is called in the message.

    Raises:
        Refused: if a folder, a device, a pipe or a symbolic link is there.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refused(f"{what}: cannot write there ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "special file")
        raise Refused(f"{what}: a {kind} is there; give the name of a new file, or of one that may be replaced")


def read_from_disk(path: Path) -> bytes:
    """Return the content of ``path`` as the disk gives it, not as memory remembers it where the system allows that."""
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file.read()


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote."""
    for file in [*folder.glob(".*.tmp"), *folder.glob("*/.*.tmp")]:
        file.unlink()


def append_line(path: Path, line: str) -> None:
    """Append ``line`` and a line end to ``path``, whole or not at all.

    Raises:
        OSError: with ``filename``; the file is as long as before.
    """
    content = f"{line}\n".encode()
    with _named(path):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            before = os.fstat(file).st_size
            written = 0
            try:
                while written < len(content):  # a disk that fills up takes a part first
                    written += os.write(file, content[written:])
            except OSError:
                os.ftruncate(file, before)
                raise
        finally:
            os.close(file)


def synced(path: Path) -> bytes:
    """Return the content of ``path``, which outlives a loss of power from now on."""
    with _named(path), path.open("rb") as file:
        os.fsync(file.fileno())
        return file.read()


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Return ``value`` as indented JSON with a line end."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def write_yaml(path: Path, value: Any) -> None:
    """Write ``value`` as yaml, whole or not at all."""
    write_bytes(path, yaml_bytes(value))


def yaml_bytes(value: Any) -> bytes:
    """Return ``value`` as yaml, in the order given."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    # The library writes U+0085 as it is, and reads it as the end of a line, which becomes a space.
    return (text if "\x85" not in text else yaml.safe_dump(value, sort_keys=False)).encode()


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object a line, whole or not at all."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _sync_folder(folder: Path) -> None:
    """Make sure that the new name outlives a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let an OSError say which file it is about: writing itself does not know."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
