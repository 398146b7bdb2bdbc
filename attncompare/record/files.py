"""Files that are written whole or not at all, and files that are read without trusting who made them.

Writing goes through a temporary name beside the file, which is synced and renamed. Reading takes a file only if it lies
in its folder, is a plain file and not larger than its kind gets; yaml and JSON become plain values
(:func:`attncompare.config.plain_values.safe_yaml`). Nothing that is read is executed or followed out of the folder.
"""

import hashlib
import itertools
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from attncompare.config import RunConfig
from attncompare.config.variants import variant_in_file_names
from attncompare.errors import Refused

MEBIBYTE = 2**20
LIMIT = 256 * MEBIBYTE  # bytes of a record's file, unless its kind is known to be larger or smaller
# Flags of os.open: links are not followed, pipes not waited for, bytes left as they are; those that the system has.
AS_IT_IS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
_MOST_LOOKED_AT = 1_000_000  # files and folders: some ten thousand runs
WEIGHTS_LIMIT = 8192 * MEBIBYTE  # bytes of a file of weights: two thousand million parameters


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all; an OSError has the ``filename``, and the old file is still there."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with _naming(path):
            # One may be left from a killed process, or be a link to somewhere else: such are not followed.
            temporary.unlink(missing_ok=True)
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync(path.parent)  # so that the new name outlives a loss of power
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def json_bytes(value: Any) -> bytes:
    """Return ``value`` as indented JSON with a line end."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    write_bytes(path, json_bytes(value))


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, whole or not at all."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def yaml_bytes(value: Any) -> bytes:
    """Return ``value`` as yaml, in the order given."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    # The library writes U+0085 as it is, but reads it as the end of a line, which becomes a space.
    return (text if "\x85" not in text else yaml.safe_dump(value, sort_keys=False)).encode()


def write_yaml(path: Path, value: Any) -> None:
    """Write ``value`` as yaml, whole or not at all."""
    write_bytes(path, yaml_bytes(value))


def append_line(path: Path, line: str) -> None:
    """Append ``line`` and a line end to ``path``; at an OSError, which has the ``filename``, it is as long as before."""
    content = f"{line}\n".encode()
    with _naming(path), path.open("r+b", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            while content:  # a disk that fills up takes a part first
                content = content[file.write(content) :]
        except OSError:
            file.truncate(before)
            raise


def sync(path: Path) -> None:
    """Make sure that a file's content, or a folder's list of names, outlives a loss of power; Windows offers no such thing."""
    if os.name == "nt":
        return
    with _naming(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def digest(content: bytes | bytearray) -> str:
    """Return the SHA-256 of ``content`` in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def read_inside(folder: Path, name: str, limit: int = LIMIT) -> bytes:
    """Return the content of the file ``name``, with ``/`` between folders, below the record's ``folder``.

    Refused is what is missing, larger than ``limit`` bytes, a symbolic link or behind one, no plain file (a pipe, a
    device), or a ``name`` that leads out of ``folder``.
    """
    path = Path(folder) / require_relative(name, str(folder))
    try:
        for above in (path, *path.parents[: len(PurePosixPath(name).parts) - 1]):
            if above.is_symlink():
                raise Refused(f"{path}: '{above.name}' is a symbolic link; a record is read only within its own folder")
        with os.fdopen(os.open(path, os.O_RDONLY | AS_IT_IS), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise Refused(f"{path}: no plain file")
            if facts.st_size > limit:
                raise Refused(f"{path}: {facts.st_size} bytes, too large; at most {limit} are read")
            return file.read(facts.st_size)
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror})") from None


def files_named(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return what has one of ``names`` at any depth below ``folder``, sorted; links to folders are not followed.

    Refused if more is there than any folder of runs holds, as below the root of a disk.
    """
    found, looked_at = [], 0
    for parent, folders, files in os.walk(folder):
        looked_at += len(folders) + len(files)
        if looked_at > _MOST_LOOKED_AT:
            raise Refused(f"{folder}: holds more than {_MOST_LOOKED_AT} files and folders; give the folder of the runs")
        found += [Path(parent, name) for name in names if name in files or name in folders]
    return sorted(found)


def require_relative(name: str, where: str) -> PurePosixPath:
    """Return ``name`` as a path below a folder, or refuse one that leads elsewhere; ``where`` begins the message."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or not name.isprintable():
        raise Refused(f"{where}: {name!r} is no file of this folder")
    return PurePosixPath(name)


def require_no_way_out(folder: Path) -> None:
    """Refuse a folder with a link to a place outside it, before anything is written there.

    W&B's own folder is left out: its links are absolute, so those of a moved run lead away; it is made anew.
    """
    inside = Path(folder).resolve()
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in sorted([*folders, *files])):
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                raise Refused(f"{path}: a symbolic link that leads out of its folder; nothing is written there")
        if Path(parent) == Path(folder) and "wandb" in folders:
            folders.remove("wandb")


PAGE_MARK = b'<meta name="generator" content="attncompare">'
"""Stands near the beginning of every page that is written, so that no other one is replaced."""
_HEAD = 2000  # bytes


def require_replaceable(path: Path, what: str, mark: bytes = b"") -> None:
    """Refuse to write to ``path``, called ``what``, where something else than a file that begins with ``mark`` is."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            kind = "symbolic link" if path.is_symlink() else "folder" if path.is_dir() else "special file"
            raise Refused(f"{what}: a {kind} is there; give the name of a new file, or of one that may be replaced")
        with path.open("rb") as file:
            if mark not in file.read(_HEAD):
                raise Refused(f"{what}: a file is there that attncompare has not written; give another name")
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refused(f"{what}: cannot write there ({error.strerror})") from None


def require_writable(folder: Path, what: str, advice: str = "give another folder") -> None:
    """Refuse a folder, called ``what``, in which nothing can be made; it need not exist, and nothing is left behind."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        tempfile.TemporaryDirectory(dir=existing, prefix=".attncompare-").cleanup()
    except OSError as error:
        raise Refused(f"{what}: cannot write there ({existing}: {error.strerror}); {advice}") from None


def new_folder(runs: str, parent: Path, stem: str) -> Path:
    """Make the folder ``parent/stem``, numbered where that name is taken, or refuse with the config's ``runs``."""
    names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            with suppress(FileExistsError):
                folder = parent / next(names)
                folder.mkdir()
                return folder
    except OSError as error:
        raise Refused(f"runs={runs}: cannot write there ({parent}: {error.strerror}); give another folder") from None


def create_folder(config: RunConfig, parent: Path | None = None) -> Path:
    """Make a new folder for a run: ``<parent>/<time>-<task>-<variant>-h<heads>-s<seed>-<hash>``.

    The name is for people; no program reads it. Without ``parent``, a sweep's folder, it stands in ``<runs>/<date>``.
    """
    now, variant = datetime.now(), variant_in_file_names(config.attention)
    stem = f"{now:%H-%M-%S}-{config.task.name}-{variant}-h{config.attention.heads}-s{config.seed}-{config.hash()[:6]}"
    return new_folder(config.runs, parent or Path(config.runs) / f"{now:%Y-%m-%d}", stem)
