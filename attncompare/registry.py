"""The names that a config may use, found without importing what they name (C6).

A built-in score function is one file in ``attncompare/attention/scores/``; others arrive as installed packages through the
entry-point group ``attncompare.scores``. Listing names costs no import of torch; loading one imports just that one.
"""

import difflib
import importlib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from attncompare.errors import Refused

SCORE_GROUP = "attncompare.scores"
_SCORE_FOLDER = Path(__file__).parent / "attention" / "scores"


def score_names() -> list[str]:
    """Return the names of all score functions, built-in and installed."""
    return sorted({*_built_in_scores(), *_installed_scores()})


def load_score(name: str) -> type[Any]:
    """Return the class of the score function ``name``.

    Raises:
        Refused: if there is no such score; the message lists the valid names.
    """
    if name in _built_in_scores():
        module = importlib.import_module(f"attncompare.attention.scores.{name}")
        return getattr(module, "".join(part.capitalize() for part in name.split("_")))
    if name in _installed_scores():
        return _installed_scores()[name].load()
    raise Refused(unknown("score", name, score_names()))


def unknown(what: str, name: object, valid: Iterable[str]) -> str:
    """Say in one line that ``name`` is no valid ``what``, which ones are, and which is nearest."""
    choices = sorted(valid)
    nearest = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.5)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    return f"unknown {what} '{name}'{hint}; valid: {', '.join(choices)}"


def _built_in_scores() -> list[str]:
    return [file.stem for file in _SCORE_FOLDER.glob("*.py") if file.stem not in ("__init__", "base")]


def _installed_scores() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=SCORE_GROUP)}
