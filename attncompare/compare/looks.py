"""The looks at runs: from which sets of seeds verdicts were computed before, in ``looks.json`` of their sweeps' folders.

Who adds seeds until a difference is decided has more chances to err than one, so each further look decides at a stricter
level (:func:`attncompare.compare.statistics.level_after`).
"""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from attncompare.compare.statistics import ALPHA
from attncompare.errors import Refused
from attncompare.record import SWEEP_FILE, Run, read_inside, write_json

FILE = "looks.json"
_LIMIT = 2**20  # bytes


class Look(BaseModel):
    """A set of seeds that was tested, and how much of the 5 % that took."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: tuple[int, ...]
    spent: float = Field(ge=0.0, le=ALPHA)


_LOOKS = TypeAdapter(dict[str, tuple[Look, ...]])  # by task, in the order of the first time


def trained_in(runs: Sequence[Run]) -> list[Path]:
    """Return the folders of the sweeps that trained ``runs``: a sweep may share runs of others."""
    folders = dict.fromkeys(run.path.resolve().parent for run in runs)
    return [folder for folder in folders if (folder / SWEEP_FILE).is_file()]


def looks_before(folders: Sequence[Path], task: str, seeds: Sequence[int]) -> tuple[Look, ...]:
    """Return the looks at any of some sweeps before the one at these ``seeds``; the same seeds again are the same look.

    Raises Refused if ``looks.json`` is damaged."""
    found: dict[tuple[int, ...], Look] = {}
    for folder in folders:
        for look in takewhile(lambda look: look.seeds != tuple(seeds), _read(folder).get(task, ())):
            found[look.seeds] = max(look, found.get(look.seeds, look), key=lambda one: one.spent)
    return tuple(found.values())


def record_look(folder: Path, task: str, look: Look) -> None:
    """Write that the verdicts at the seeds of ``look`` were seen; raises OSError if it cannot be written."""
    looks = _read(folder)
    own = looks.get(task, ())
    if look.seeds not in {one.seeds for one in own}:
        write_json(folder / FILE, _LOOKS.dump_python({**looks, task: (*own, look)}, mode="json"))


def _read(folder: Path) -> dict[str, tuple[Look, ...]]:
    if not (folder / FILE).exists():
        return {}
    try:
        return _LOOKS.validate_json(read_inside(folder, FILE, _LIMIT))
    except ValidationError:
        raise Refused(f"{folder / FILE}: damaged; it holds the sets of seeds that were tested, by task") from None
