"""From runs to an answer: what may be compared, which differences are real, the table, the page.

checks.py     how to compare (--tune, --equal, --metric); which runs may stand beside each other, and why not
axes.py       along which axes variants differ
identity.py   which runs train the same model; what a variant is called
gathering.py  from paths to runs; what a sweep could not finish is named and left out
looks.py      which seeds of a sweep were tested before
selection.py  each variant at its best learning rate, at equal parameters, or at an equal budget
groups.py     runs of one task, grouped by variant
statistics/   estimates, tests, and their correction for many comparisons
costs.py      which variants are cheaper beyond the noise
verdicts.py   which differences are real, in sentences
one_seed.py   what runs from one seed show, and what not
table.py      the table, and all of it in the terminal
export.py     the table as CSV, LaTeX, markdown, HTML and a pandas table
data.py       all of it as JSON
page/         the page
command.py    ``attncompare compare``, in Python too, and the page in W&B
"""

import sys
from types import ModuleType

from attncompare.compare.checks import Options, differences
from attncompare.compare.command import compare, compared
from attncompare.compare.gathering import Gathered, LeftOut, gather
from attncompare.compare.groups import Comparison, Variant, compare_groups
from attncompare.compare.identity import labels
from attncompare.compare.table import as_text
from attncompare.compare.verdicts import verdicts

__all__ = [
    "Comparison",
    "Gathered",
    "LeftOut",
    "Options",
    "Variant",
    "as_text",
    "compare",
    "compare_groups",
    "compared",
    "differences",
]
__all__ += ["gather", "labels", "verdicts"]


class _Room(ModuleType):
    """This module, which compares when it is called: in Python ``attncompare.compare`` is both room and function."""

    __call__ = staticmethod(compared)


sys.modules[__name__].__class__ = _Room
