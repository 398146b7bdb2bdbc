"""The primer: attention in eleven chapters, computed by the package itself when it is written.

``examples/primer/`` holds the chapters as percent scripts; each of their code cells runs with the public API.

chapters.py   reading the chapters
running.py    running their cells: what they print, show and draw
page.py       one self-contained page; page/ holds its template, style and script
writing.py    ``attncompare primer``: the page, the same as Markdown and as a notebook

What the chapters use:

lessons.py    models that are trained once and kept
pictures.py   matrices, masks and heads as figures
table.py      self-attention as a table to play with
"""

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """This module, which writes the primer when it is called: in Python ``attncompare.primer`` is both room and function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from attncompare.primer.writing import write

        return write(*arguments, **options)


sys.modules[__name__].__class__ = _Room
