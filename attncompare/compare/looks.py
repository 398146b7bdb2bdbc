"""The looks at a sweep: from which sets of seeds its verdicts were computed before, in ``looks.json`` of its folder.

Who adds seeds until a difference is decided has more chances to err than one, so each further look decides at a stricter
level (:func:`attncompare.compare.statistics.level_of`).
"""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from attncompare.errors import Refused
from attncompare.record import SWEEP_FILE, Run, read_inside, write_json

FILE = "looks.json"
_LIMIT = 2**20  # bytes
_LOOKS = TypeAdapter(dict[str, list[list[int]]])  # task -> sets of seeds, in the order of their first looks


def sweep_folder(runs: Sequence[Run]) -> Path | None:
    """Return the folder of the sweep that all ``runs`` belong to; None where there is none."""
    folders = {run.path.resolve().parent for run in runs}
    return folder if len(folders) == 1 and ((folder := folders.pop()) / SWEEP_FILE).is_file() else None


def look_of(folder: Path | None, task: str, seeds: Sequence[int]) -> int:
    """Return the number, from 1, of the look at these ``seeds`` of a sweep; the same seeds again are the same look.

    Raises Refused if ``looks.json`` is damaged."""
    before = _read(folder).get(task, []) if folder else []
    return (before.index(list(seeds)) if list(seeds) in before else len(before)) + 1


def record_look(folder: Path, task: str, seeds: Sequence[int]) -> None:
    """Write that the verdicts at these ``seeds`` of a sweep were seen; raises OSError if it cannot be written."""
    looks = _read(folder)
    if list(seeds) not in looks.setdefault(task, []):
        looks[task].append(list(seeds))
        write_json(folder / FILE, looks)


def _read(folder: Path) -> dict[str, list[list[int]]]:
    if not (folder / FILE).exists():
        return {}
    try:
        return _LOOKS.validate_python(json.loads(read_inside(folder, FILE, _LIMIT)), strict=True)
    except (ValueError, RecursionError, ValidationError):
        raise Refused(f"{folder / FILE}: damaged; it holds the sets of seeds that were tested, by task") from None
