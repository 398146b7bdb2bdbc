"""``attncompare primer``: the chapters, run, as one page, as Markdown with pictures, and as a notebook."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attncompare.primer import lessons
from attncompare.primer.chapters import Cell, Chapter, chapters
from attncompare.primer.page import primer_page
from attncompare.primer.running import Output, run_chapter
from attncompare.record import PAGE_MARK, require_replaceable, require_writable, write_bytes, write_json, write_text

PAGE = "primer.html"
BEGIN, END = "<!-- computed -->", "<!-- /computed -->"
"""What stands around that which came of a cell, in Markdown."""
_HEADING = re.compile(r"^(?=# \d|## )", re.MULTILINE)  # and no comment of a shell
_HEAD = """# A primer on attention

`attncompare primer` wrote this from `examples/primer/`, and computed what stands below each piece of code. It writes the same as
one page that works offline, where the table of the first chapter can be changed: `runs/primer/primer.html`.
"""


def write(
    output: str | Path = "runs/primer",
    *,
    quick: bool = False,
    markdown: str | Path | None = None,
    notebook: str | Path | None = None,
    on_message: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
) -> Path:
    """Run all chapters, write their page and return its path.

    Args:
        output: the folder of the page, and of the models that are trained for it; those that are there already are taken.
        quick: train these models for some steps only.
        markdown: also write this file, and its pictures into the folder beside it that has its name.
        notebook: also write this file; a notebook shows nothing before it is run.
        on_message: told which chapter is being run.

    Raises:
        Refused: before anything is trained, if a place cannot be written.
        RunFailed, KeyboardInterrupt: as from the training of the models.
    """
    page = Path(output) / PAGE
    require_writable(page.parent, f"output={output}")
    require_replaceable(page, f"output={output}: {PAGE}", PAGE_MARK)
    for option, file, mark in (("markdown", markdown, _HEAD[:20].encode()), ("notebook", notebook, b'"cells"')):
        if file is not None:
            require_writable(Path(file).parent, f"{option}={file}")
            require_replaceable(Path(file), f"{option}={file}", mark)
    page.parent.mkdir(parents=True, exist_ok=True)
    if notebook is not None:
        Path(notebook).parent.mkdir(parents=True, exist_ok=True)
        write_json(Path(notebook), notebook_of(chapters()))
    parts: list[tuple[Chapter, Sequence[Output]]] = []
    with lessons.trained_in(Path(output), quick):
        for chapter in chapters():
            on_message(f"chapter {chapter.number} of {len(chapters())}: {chapter.title}")
            parts.append((chapter, run_chapter(chapter)))
    said = f"Quick: its models were trained for {lessons.QUICK_STEPS} steps alone, so what they attend to means nothing yet."
    write_text(page, primer_page(parts, said if quick else ""))
    if markdown is not None:
        _write_markdown(Path(markdown), parts)
    return page


def notebook_of(parts: Sequence[Chapter]) -> dict[str, Any]:
    """Return the chapters as a notebook (nbformat 4.5) that was not run yet."""
    cells: list[dict[str, Any]] = [
        {
            "id": f"{chapter.name}-{number}",
            "cell_type": cell.kind,
            "metadata": {},
            "source": cell.text.splitlines(keepends=True),
            **({"execution_count": None, "outputs": []} if cell.kind == "code" else {}),
        }
        for chapter in parts
        for number, cell in enumerate(chapter.cells)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


def markdown_of(parts: Sequence[tuple[Chapter, Sequence[Output]]], pictures: str) -> str:
    """Return the chapters with what came of their cells as Markdown; the pictures are in the folder ``pictures``."""
    blocks = [_HEAD.rstrip("\n")]
    for chapter, outputs in parts:
        for number, (cell, output) in enumerate(zip(chapter.cells, outputs, strict=True)):
            blocks.append(_source(cell))
            computed = [f"```text\n{output.text.rstrip()}\n```"] if output.text else []
            computed += [output.html] if output.html else []
            names = picture_names(chapter, number, output)
            computed += [f"![{one.alt}]({pictures}/{name})" for name, one in zip(names, output.pictures, strict=True)]
            if computed:
                blocks.append("\n\n".join([BEGIN, *computed, END]))
    return "\n\n".join(blocks) + "\n"


def picture_names(chapter: Chapter, cell: int, output: Output) -> list[str]:
    """Return the names of the files of a cell's pictures."""
    return [f"{chapter.number:02}-{cell:02}-{number}.png" for number in range(len(output.pictures))]


def _source(cell: Cell) -> str:
    if cell.kind == "code":
        return f"```python\n{cell.text}\n```"
    return _HEADING.sub("#", cell.text)  # the title of the page stands above them


def _write_markdown(file: Path, parts: Sequence[tuple[Chapter, Sequence[Output]]]) -> None:
    folder = file.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("[0-9][0-9]-[0-9][0-9]-*.png"):
        old.unlink()
    for chapter, outputs in parts:
        for number, output in enumerate(outputs):
            for name, picture in zip(picture_names(chapter, number, output), output.pictures, strict=True):
                write_bytes(folder / name, picture.png)
    write_text(file, markdown_of(parts, folder.name))
