"""The names that a config may use, found without importing what they name (C6).

A built-in score function is one file in ``attncompare/attention/scores/``; others arrive as installed packages through
the entry-point group ``attncompare.scores``. Listing names costs no import of torch; loading one imports just that one.
"""

import difflib
import json
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from attncompare.errors import Refused

SCORE_GROUP = "attncompare.scores"
_SCORE_FOLDER = Path(__file__).parent / "attention" / "scores"


def score_names() -> list[str]:
    """Return the names of all score functions, built-in and installed.

    Raises:
        Refused: if two packages claim one name. A recorded ``score: dot`` must mean the same on every machine, so that
            an installed score neither replaces a built-in one nor is quietly left out.
    """
    return sorted(_scores())


def load_score(name: str) -> type[Any]:
    """Return the class of the score function ``name``.

    Raises:
        Refused: if there is no such score (the message lists the valid names), if two packages claim one name, or if
            the package that brings it cannot be imported.
    """
    scores = _scores()
    if name not in scores:
        raise Refused(unknown("score", name, scores))
    try:
        return scores[name].load()
    except (ImportError, AttributeError) as error:
        raise Refused(f"score '{name}' of the package {_package(scores[name])} cannot be loaded: {error}") from error


def installed() -> list[EntryPoint]:
    """Return the entry points of all installed parts."""
    return sorted(entry_points(group=SCORE_GROUP))


def unknown(what: str, name: object, valid: Iterable[str]) -> str:
    """Say in one line that ``name`` is no valid ``what``, which ones are, and which is nearest."""
    choices = sorted(valid)
    close = nearest(name, choices)
    hint = f" (did you mean {close}?)" if close else ""
    return f"unknown {what} '{_shown(name)}'{hint}; valid: {', '.join(choices)}"


def _shown(name: object) -> str:
    """Return ``name`` in one line, cut where it is long."""
    text = str(name) if str(name).isprintable() else json.dumps(str(name))
    return text if len(text) <= 200 else f"{text[:200]}..."


def nearest(name: object, valid: Iterable[str]) -> str | None:
    """Return the valid name that ``name`` was probably meant to be, if one is close enough."""
    close = difflib.get_close_matches(str(name), list(valid), n=1, cutoff=0.5)
    return close[0] if close else None


def _scores() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in (*_built_in_scores(), *entry_points(group=SCORE_GROUP)):
        if entry.name in found:
            raise Refused(
                f"the packages {_package(found[entry.name])} and {_package(entry)} both have a score '{entry.name}': "
                f"rename one of them, or uninstall {_package(entry)}"
            )
        found[entry.name] = entry
    return found


def _built_in_scores() -> list[EntryPoint]:
    names = [file.stem for file in _SCORE_FOLDER.glob("*.py") if file.stem not in ("__init__", "base")]
    return [EntryPoint(name, f"attncompare.attention.scores.{name}:{_class_name(name)}", SCORE_GROUP) for name in names]


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "attncompare"
