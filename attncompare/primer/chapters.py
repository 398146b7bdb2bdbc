"""The chapters as they are written: percent scripts, whose cells are Markdown or code."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

_PLACES = (
    Path(__file__).parent / "chapters",
    Path(__file__).parents[2] / "examples/primer",
)  # in a wheel, in a checkout
_CELL = re.compile(r"^# %%( \[markdown\])?$\n", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """One cell: its text, without the comment signs of Markdown, and the line of the file at which it begins, from 1."""

    kind: Literal["markdown", "code"]
    text: str
    line: int


@dataclass(frozen=True)
class Chapter:
    """One chapter: its number, what it is called, the file it stands in, and its cells."""

    number: int
    title: str
    file: Path
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """The name of its file, without the number: a short name for links and pictures."""
        return self.file.stem.partition("_")[2].replace("_", "-")


@cache
def chapters() -> tuple[Chapter, ...]:
    """Return all chapters in their order."""
    folder = next(place for place in _PLACES if place.is_dir())
    return tuple(read_chapter(file) for file in sorted(folder.glob("[0-9]*_*.py")))


def read_chapter(file: Path) -> Chapter:
    """Read the chapter in ``file``, named NN_title.py; its first cell begins with a heading ``# NN. Title``."""
    text = file.read_text(encoding="utf-8")
    marks = list(_CELL.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    cells = []
    for mark, end in zip(marks, ends, strict=True):
        body, line = text[mark.end() : end].strip("\n"), text.count("\n", 0, mark.end()) + 1
        if mark[1]:
            body = "\n".join(row.removeprefix("#").removeprefix(" ") for row in body.splitlines())
        cells.append(Cell("markdown" if mark[1] else "code", body, line))
    number, _, title = cells[0].text.splitlines()[0].removeprefix("# ").partition(". ")
    return Chapter(int(number), title, file, tuple(cells))
