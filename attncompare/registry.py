"""The parts that a config may name, found without importing them.

A built-in part is a file in the folder of its kind, ``two_words.py``, that defines the class ``TwoWords``. Installed
packages bring more through the entry points ``attncompare.<kind>``. Listing names imports nothing.
"""

import difflib
import json
import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from attncompare.errors import Refused

KINDS = {
    "scores": "attention/scores",
    "backbones": "model/backbones",
    "datasets": "data/corpora",
    "tasks": "tasks",
    "metrics": None,  # the built-in ones stand in tasks/metrics.py
    "callbacks": None,
}
"""Each kind of part with the folder of the built-in ones; None: the registry knows installed ones alone."""

_PACKAGE = Path(__file__).parent


def names(kind: str) -> list[str]:
    """Return the names of all parts of a kind, built-in and installed.

    Raises:
        Refused: if two packages claim one name. A recorded name must mean the same everywhere, so an installed part
            neither replaces a built-in one nor is left out without a word.
    """
    return sorted(_entries(kind))


def load(kind: str, name: str) -> type[Any]:
    """Return the class of the part ``name``.

    Raises:
        Refused: if there is no such part, two packages claim its name, or its package cannot be imported.
    """
    entries = _entries(kind)
    if name not in entries:
        raise Refused(unknown(kind.removesuffix("s"), name, entries))
    try:
        return entries[name].load()
    except (ImportError, AttributeError) as error:
        raise Refused(
            f"{kind.removesuffix('s')} '{name}' of {package(entries[name])} cannot be loaded: {error}"
        ) from error


def installed() -> list[EntryPoint]:
    """Return the entry points of all installed parts, in order of kind and name."""
    return [entry for kind in sorted(KINDS) for entry in sorted(entry_points(group=f"attncompare.{kind}"))]


def package(entry: EntryPoint) -> str:
    """Return the name of the package that brings a part."""
    return entry.dist.name if entry.dist else "attncompare"


def unknown(what: str, name: object, valid: Iterable[str]) -> str:
    """Say in one line that ``name`` is no valid ``what``, which ones are, and which is nearest."""
    choices = sorted(valid)
    close = nearest(name, choices)
    text = str(name) if str(name).isprintable() else json.dumps(str(name))
    hint = f" (did you mean {close}?)" if close else ""
    return f"unknown {what} '{text if len(text) <= 200 else text[:200] + '...'}'{hint}; valid: {', '.join(choices)}"


def nearest(name: object, valid: Iterable[str]) -> str | None:
    """Return the valid name that ``name`` was probably meant to be, if one is close enough."""
    return next(iter(difflib.get_close_matches(str(name), list(valid), n=1, cutoff=0.5)), None)


def _entries(kind: str) -> dict[str, EntryPoint]:
    found = dict(_built_in(kind))
    for entry in entry_points(group=f"attncompare.{kind}"):
        if entry.name in found:
            raise Refused(
                f"the packages {package(found[entry.name])} and {package(entry)} both have a {kind.removesuffix('s')} "
                f"'{entry.name}': rename one of them, or uninstall {package(entry)}"
            )
        found[entry.name] = entry
    return found


@cache
def _built_in(kind: str) -> dict[str, EntryPoint]:
    """Return the parts in the folder of a kind: each file that defines the class which its name asks for."""
    place = KINDS[kind]
    if place is None:
        return {}
    folder, group = _PACKAGE / place, f"attncompare.{kind}"
    found = {}
    for file in [*folder.glob("*.py"), *folder.glob("*/__init__.py")]:
        name = file.parent.name if file.name == "__init__.py" else file.stem
        one = "".join(word.capitalize() for word in name.split("_"))
        if re.search(rf"^class {one}[(:]", file.read_text(encoding="utf-8"), re.MULTILINE):
            module = f"attncompare.{place.replace('/', '.')}.{name}"
            found[name] = EntryPoint(name, f"{module}:{one}", group)
    return found
