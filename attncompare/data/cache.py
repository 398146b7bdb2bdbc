"""What is made once for all runs and mapped from the disk: rows of text, and encoded text as flat arrays.

It stands beside the cache of ``datasets``, named by what decides its content, and may be removed at any time.
"""

import hashlib
import json
import mmap
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import datasets
import numpy as np
import pyarrow as pa

Arrays = dict[str, np.ndarray]
"""``ids`` of all rows, one row after the other; ``ends``: where each row ends; facts of each token beside its id."""

_PORTION = 2**18  # characters of text that are held at a time
_MOST = 10_000  # texts in a portion
_MAPS: WeakSet[mmap.mmap] = WeakSet()
Item = TypeVar("Item")
Values = TypeVar("Values", np.ndarray, memoryview)


def cache_folder() -> Path:
    """Return where all of it stands."""
    return Path(datasets.config.HF_DATASETS_CACHE) / "attncompare"


def portions(
    items: Iterable[Item], size: Callable[[Any], int] = len, room: int | None = None, most: int = _MOST
) -> Iterator[list[Item]]:
    """Yield ``items`` in order, in lists of at most so many whose sizes together stay near ``room``, by default a portion."""
    whole = _PORTION if room is None else room
    portion: list[Item] = []
    left = whole
    for item in items:
        portion.append(item)
        left -= size(item)
        if left <= 0 or len(portion) == most:
            yield portion
            portion, left = [], whole
    if portion:
        yield portion


def cached_rows(key: Any, schema: pa.Schema, rows: Callable[[], Iterable[pa.Table]]) -> datasets.Dataset:
    """Return the rows that ``rows`` gives in tables, mapped from their file; ``key``: plain values that tell them apart.

    ``Dataset.from_generator`` does the same row by row, which takes twenty times as long.
    """
    file = cache_folder() / f"rows-{_digest(key)}.arrow"
    if not file.exists():
        with unfinished(file) as part, pa.OSFile(str(part), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for table in rows():
                writer.write_table(table.cast(schema))
    return datasets.Dataset(pa.ipc.open_stream(pa.py_buffer(_map(file))).read_all(), fingerprint=file.stem)


def cached_texts(key: Any, column: str, parts: Callable[[], Iterable[Arrays]]) -> datasets.Dataset:
    """Return rows of one text each, mapped likewise, of which ``parts`` give ``text``, bytes of UTF-8, and its ``ends``.

    Arrow's files are written row by row, so that a row must fit memory; here it need not.
    """
    arrays = cached_arrays(key, parts)
    ends = np.append(0, arrays["ends"])
    texts = pa.LargeStringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(arrays["text"]))
    return datasets.Dataset(pa.table({column: texts}), fingerprint=_digest(key))


def in_memory(parts: Iterable[Arrays]) -> Arrays:
    """Return the arrays that ``parts`` make, joined; at least one part."""
    found = list(parts)
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def cached_arrays(key: Any, parts: Callable[[], Iterable[Arrays]]) -> Arrays:
    """Return the same, mapped from the disk, so that the parts are never all in memory; ``key`` as for rows."""
    folder = cache_folder() / _digest(key)
    try:
        return _mapped(folder)
    except (OSError, ValueError):  # not there, or not whole: scratch folders are cleaned file by file
        shutil.rmtree(folder, ignore_errors=True)
    header: dict[str, tuple[str, int]] = {}
    with unfinished(folder) as new:
        new.mkdir()
        for part in parts():
            for name, values in part.items():
                dtype, count = header.get(name, (values.dtype.str, 0))
                header[name] = dtype, count + len(values)
                with (new / name).open("ab") as file:
                    file.write(values.astype(dtype).tobytes())
        (new / "header.json").write_text(json.dumps(header))
    return _mapped(folder)


def _mapped(folder: Path) -> Arrays:
    return {
        name: np.frombuffer(_map(folder / name), dtype, count) if count else np.empty(0, dtype)
        for name, (dtype, count) in json.loads((folder / "header.json").read_text()).items()
    }


def _map(file: Path) -> mmap.mmap:
    with file.open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    _MAPS.add(mapped)
    return mapped


def in_slices(values: Values, size: int) -> Iterator[Values]:
    """Yield ``values`` in slices of ``size``; what was read of a file leaves the memory of the process after each."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
        release()


def release() -> None:
    """Take all that was read of mapped files out of the memory of the process; what is read again comes from the system.

    The system would do so only where memory is short, and until then a process seems to need as much as its files.
    """
    if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
        for mapped in list(_MAPS):
            mapped.madvise(mmap.MADV_DONTNEED)


@contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Give a path to write to; ``target`` is that, whole, at the end, and nothing where the writing fails.

    Several processes may make it at once: each writes under a name of its own, and the first to end gives it its name.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        part = Path(folder) / target.name
        yield part
        try:
            part.rename(target)
        except OSError:
            if not target.exists():  # else another process was first
                raise


def _digest(key: Any) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
