"""What is made once for all runs and mapped from the disk: rows of text, and encoded text as flat arrays.

It stands beside the cache of ``datasets``, named by what decides its content, and may be removed at any time.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import datasets
import numpy as np
import pyarrow as pa

Arrays = dict[str, np.ndarray]
"""``ids`` of all rows, one row after the other; ``ends``: where each row ends; facts of each token beside its id."""

_PORTION = 2**18  # characters of text that are held at a time
_MOST = 10_000  # texts in a portion
Item = TypeVar("Item")


def cache_folder() -> Path:
    """Return where all of it stands."""
    return Path(datasets.config.HF_DATASETS_CACHE) / "attncompare"


def portions(items: Iterable[Item], size: Callable[[Any], int] = len) -> Iterator[list[Item]]:
    """Yield ``items`` in order, in lists whose sizes together stay near a portion."""
    portion: list[Item] = []
    room = _PORTION
    for item in items:
        portion.append(item)
        room -= size(item)
        if room <= 0 or len(portion) == _MOST:
            yield portion
            portion, room = [], _PORTION
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
    return datasets.Dataset.from_file(str(file))


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
    # As plain arrays: every slice of a memmap is one itself, which takes long for rows of some tokens.
    return {
        name: np.asarray(np.memmap(folder / name, dtype, "r", shape=(count,))) if count else np.empty(0, dtype)
        for name, (dtype, count) in json.loads((folder / "header.json").read_text()).items()
    }


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
