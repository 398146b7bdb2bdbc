"""Who takes part in a benchmark."""

from collections.abc import Callable
from dataclasses import dataclass


class LeftOut(Exception):  # noqa: N818 (it reads as what happened)
    """A contender that cannot be measured here; the message says why, and what would help. Others go on."""


@dataclass(frozen=True)
class Contender:
    """One way of doing a piece of work.

    ``prepare`` makes what the work needs, outside of the clock, and returns the function that does it once. It, and that
    function's first call, may raise :class:`LeftOut`. Contenders of one measurement do the same work on the same data.
    """

    name: str
    prepare: Callable[[], Callable[[], object]]
