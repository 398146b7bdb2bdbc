"""Running a chapter: its code cells one after the other in one namespace, and what comes of each."""

import ast
import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attncompare.primer.chapters import Cell, Chapter

# Of figures in page and Markdown: readable on a phone, and small.
_STYLE: Any = {"font.size": 9, "axes.titlesize": 9, "figure.dpi": 100, "savefig.dpi": 120, "savefig.bbox": "tight"}


@dataclass(frozen=True)
class Picture:
    """A figure as PNG, and what it shows in words, for those who cannot see it."""

    png: bytes
    alt: str


@dataclass(frozen=True)
class Output:
    """What came of a cell: what it printed, what its last value shows as HTML, and the figures that it drew."""

    text: str = ""
    html: str = ""
    pictures: tuple[Picture, ...] = ()


def run_chapter(chapter: Chapter) -> list[Output]:
    """Run the code of ``chapter`` and return what came of each cell; of Markdown nothing does.

    Whatever a cell raises is raised, with the lines of the chapter's file in its traceback.
    """
    namespace: dict[str, Any] = {"__name__": f"primer_{chapter.number}"}
    with _drawing():
        return [_run(cell, chapter, namespace) if cell.kind == "code" else Output() for cell in chapter.cells]


def _run(cell: Cell, chapter: Chapter, namespace: dict[str, Any]) -> Output:
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    tree = ast.increment_lineno(ast.parse(cell.text), cell.line - 1)
    shown = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    value: Any = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, chapter.file, "exec"), namespace)  # our own chapters, which come with the code
        if isinstance(shown, ast.Expr):
            value = eval(compile(ast.Expression(shown.value), chapter.file, "eval"), namespace)
    drawn = [plt.figure(number) for number in plt.get_fignums() if number not in before]
    html = value._repr_html_() if hasattr(value, "_repr_html_") else ""
    return Output(printed.getvalue(), html, tuple(map(_picture, drawn)))


def _picture(figure: Any) -> Picture:
    from matplotlib import pyplot as plt
    from PIL import Image

    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    few, small = Image.open(buffer).convert("RGB").quantize(128, Image.Quantize.MEDIANCUT), io.BytesIO()
    few.save(small, "PNG", optimize=True)
    return Picture(small.getvalue(), "; ".join(" ".join(title.split()) for title in titles if title))


@contextlib.contextmanager
def _drawing() -> Iterator[None]:
    """Draw without a display, and leave matplotlib as it was."""
    import matplotlib
    from matplotlib import pyplot as plt

    before = matplotlib.get_backend()
    plt.switch_backend("agg")
    try:
        with plt.rc_context(_STYLE):
            yield
    finally:
        plt.switch_backend(before)
