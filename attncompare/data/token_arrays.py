"""Encoded text as flat arrays: in memory, or in a folder of the cache from which every run maps them."""

import hashlib
import json
import logging
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

log = logging.getLogger("attncompare")

Arrays = dict[str, np.ndarray]
"""``ids`` of all rows, one row after the other; ``ends``: where each row ends; facts of each token beside its id."""

_HEADER = "header.json"
_AT_ONCE = 2**22  # bytes


class _DamagedError(Exception):
    pass


def in_memory(parts: Iterable[Arrays]) -> Arrays:
    """Return the arrays that ``parts`` make, joined; at least one part."""
    found = list(parts)
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def in_cache(folder: Path, make: Callable[[], Iterable[Arrays]]) -> Arrays:
    """Return the arrays in ``folder``, mapped from the disk; made and written first where they are not there, whole.

    Several processes may do so at once: each writes under a name of its own, and the first to end gives its own the
    folder's name.

    Args:
        folder: its name must tell these arrays from all others.
        make: gives the arrays in parts, which are never all in memory.
    """
    try:
        return _read(folder)
    except FileNotFoundError:
        pass
    except _DamagedError as error:
        log.warning("%s is damaged (%s): it is made anew", folder, error)
        aside = _new_name(folder)
        folder.rename(aside)
        shutil.rmtree(aside)
    new = _new_name(folder)
    new.mkdir(parents=True)
    try:
        _write(new, make())
        new.rename(folder)
    except FileExistsError:
        pass
    except OSError:
        if not (folder / _HEADER).exists():
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return _read(folder)


def _new_name(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.tmp")


def _write(folder: Path, parts: Iterable[Arrays]) -> None:
    """Write one file for each array, and what they must hold to be whole."""
    files: dict[str, BinaryIO] = {}
    header: dict[str, dict[str, Any]] = {}
    digests: dict[str, Any] = {}
    try:
        for part in parts:
            for name, values in part.items():
                if name not in files:
                    files[name] = (folder / name).open("wb")
                    header[name], digests[name] = {"dtype": values.dtype.str, "numbers": 0}, hashlib.sha256()
                content = np.ascontiguousarray(values, dtype=header[name]["dtype"]).tobytes()
                files[name].write(content)
                digests[name].update(content)
                header[name]["numbers"] += len(values)
    finally:
        for file in files.values():
            file.close()
    for name, digest in digests.items():
        header[name]["sha256"] = digest.hexdigest()
    text = json.dumps(header, sort_keys=True)
    (folder / _HEADER).write_text(json.dumps({"arrays": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}))


def _read(folder: Path) -> Arrays:
    header = _header(folder / _HEADER)
    arrays = {}
    for name, facts in header.items():
        dtype, file = np.dtype(facts["dtype"]), folder / name
        if not file.is_file() or file.stat().st_size != facts["numbers"] * dtype.itemsize:
            raise _DamagedError(f"{name} has not the size that it was written with")
        if _digest(file) != facts["sha256"]:
            raise _DamagedError(f"{name} is not what was written")
        shape = (facts["numbers"],)
        # As plain arrays: every slice of a memmap is one itself, which takes long for rows of some tokens.
        arrays[name] = (
            np.asarray(np.memmap(file, dtype, "r", shape=shape)) if facts["numbers"] else np.empty(shape, dtype)
        )
    return arrays


def _header(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    try:
        values = json.loads(content)
        if hashlib.sha256(values["arrays"].encode()).hexdigest() == values["sha256"]:
            return json.loads(values["arrays"])
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise _DamagedError(f"{file.name} is not what was written")


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while content := opened.read(_AT_ONCE):
            digest.update(content)
    return digest.hexdigest()
