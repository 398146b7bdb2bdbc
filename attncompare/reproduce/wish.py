"""What was asked for, and who is told how it goes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from attncompare.training.progress import Progress


@dataclass(frozen=True)
class Wish:
    """What was asked for.

    Attributes:
        runs: where new folders go.
        parent: the folder that holds those of a sweep.
        steps: compare only that many first steps.
        exact_code: train by the code of the recorded commit.
        tolerance: relative difference up to which two metrics count as equal.
    """

    runs: str
    parent: Path | None
    steps: int | None
    exact_code: bool
    tolerance: float


@dataclass(frozen=True)
class Shown:
    """Who is told how it goes: progress, the new folder, and lines for people."""

    on_progress: Callable[[Progress], None]
    on_folder: Callable[[Path], None]
    say: Callable[[str], None]
