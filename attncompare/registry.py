"""The parts that a config may name, found without importing them.

A built-in part is a file in the folder of its kind, ``two_words.py``, that defines the class ``TwoWords``. Installed
packages bring more through the entry points ``attncompare.<kind>``. Listing names imports nothing.
"""

import ast
import difflib
import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from attncompare.errors import Refused


class Kind(NamedTuple):
    """A kind of parts.

    Attributes:
        place: the folder of the built-in ones, or the file where they stand; empty: none is built in.
        base: the class from which every part of the kind derives, ``module:name``; its abstract methods are what a part
            has to define.
        declares: attributes that a part has to set.
    """

    place: str
    base: str
    declares: tuple[str, ...] = ()


KINDS = {
    "scores": Kind("attention/scores", "attncompare.attention:ScoreFunction"),
    "normalizers": Kind("attention/normalizers", "attncompare.attention:Normalizer"),
    "masks": Kind("attention/masks", "attncompare.attention:Mask"),
    "positions": Kind("attention/positions", "attncompare.attention:Positions"),
    "backbones": Kind("model/backbones", "attncompare.model:Backbone", ("Config",)),
    "datasets": Kind("data/corpora", "attncompare.data.dataset:Dataset", ("kind",)),
    "tasks": Kind("tasks", "attncompare.tasks:Task", ("Config", "title", "data_kind", "architecture", "outputs")),
    "metrics": Kind(
        "tasks/metrics.py", "attncompare.tasks.metrics:Metric", ("name", "title", "short", "higher_is_better")
    ),
    "callbacks": Kind("", "pytorch_lightning:Callback"),
}

_PACKAGE = Path(__file__).parent


def names(kind: str) -> list[str]:
    """Return the names of all parts of a kind, built-in and installed.

    Raises:
        Refused: if two packages claim one name. A recorded name must mean the same everywhere, so an installed part
            neither replaces a built-in one nor is left out without a word.
    """
    return sorted(_entries(kind))


def load(kind: str, name: str) -> type[Any]:
    """Return the class of the part ``name``, which has all that its kind asks for (:class:`Kind`).

    Raises:
        Refused: if there is no such part, two packages claim its name, its package cannot be imported, or its class lacks
            something.
    """
    entries, one = _entries(kind), kind.removesuffix("s")
    if name not in entries:
        raise Refused(unknown(one, name, entries))
    try:
        part = entries[name].load()
    except (ImportError, AttributeError) as error:
        raise Refused(f"{one} '{name}' of {package(entries[name])} cannot be loaded: {error}") from error
    if problem := _problem(kind, name, part):
        raise Refused(f"{one} '{name}' of {package(entries[name])}: {problem}")
    return part


def installed() -> list[EntryPoint]:
    """Return the entry points of all installed parts, in order of kind and name."""
    return [entry for kind in sorted(KINDS) for entry in sorted(_installed(kind, tuple(sys.path)))]


def package(entry: EntryPoint) -> str:
    """Return the name of the package that brings a part."""
    return entry.dist.name if entry.dist else "attncompare"


def unknown(what: str, name: object, valid: Iterable[str]) -> str:
    """Say in one line that ``name`` is no valid ``what``, which ones are, and which is nearest."""
    choices = sorted(valid)
    close = nearest(name, choices)
    text = str(name) if str(name).isprintable() else json.dumps(str(name))
    hint = f" (did you mean {close}?)" if close else ""
    return f"unknown {what} '{text if len(text) <= 200 else text[:200] + '...'}'{hint}; valid: {', '.join(choices) or 'none'}"


def nearest(name: object, valid: Iterable[str]) -> str | None:
    """Return the valid name that ``name`` was probably meant to be, if one is close enough."""
    return next(iter(difflib.get_close_matches(str(name), list(valid), n=1, cutoff=0.5)), None)


def _entries(kind: str) -> dict[str, EntryPoint]:
    found = dict(_built_in(kind))
    for entry in _installed(kind, tuple(sys.path)):
        if entry.name in found:
            raise Refused(
                f"the packages {package(found[entry.name])} and {package(entry)} both have a {kind.removesuffix('s')} "
                f"'{entry.name}': rename one of them, or uninstall {package(entry)}"
            )
        found[entry.name] = entry
    return found


@cache
def _installed(kind: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:  # noqa: ARG001 (where packages are looked for)
    """Return the entry points of a kind. Looking through all packages takes 10 ms, and each config asks 25 times."""
    return tuple(entry_points(group=f"attncompare.{kind}"))


@cache
def _problem(kind: str, name: str, part: Any) -> str | None:
    """Return what keeps ``part`` from being a part of its kind, if anything does."""
    module, _, base = KINDS[kind].base.partition(":")
    if not inspect.isclass(part) or not issubclass(part, getattr(importlib.import_module(module), base)):
        return f"{getattr(part, '__name__', part)} must be a class derived from {module}.{base}"
    methods = [one for one in dir(part) if getattr(getattr(part, one, None), "__isabstractmethod__", False)]
    unset = [one for one in KINDS[kind].declares if getattr(part, one, None) is None]
    if lacking := [*unset, *methods]:
        return f"the class {part.__name__} must define {', '.join(lacking)}"
    if kind == "metrics" and (own := getattr(part, "name", None)) != name:
        return f"the class {part.__name__} must have the name under which it is installed, not '{own}'"
    for attribute, valid in part.declared().items() if hasattr(part, "declared") else ():
        given = getattr(part, attribute)
        if wrong := [one for one in ([given] if isinstance(given, str) else given) if one not in valid]:
            return f"{part.__name__}.{attribute} has {wrong[0]!r}; valid: {', '.join(valid)}"
    return None


@cache
def _built_in(kind: str) -> dict[str, EntryPoint]:
    """Return the built-in parts of a kind: each file of its folder that defines the class which the file's name asks for.

    Where they stand in one file, they are the classes in it that set ``name``.
    """
    place, group = KINDS[kind].place, f"attncompare.{kind}"
    folder = _PACKAGE / place
    found: dict[str, EntryPoint] = {}
    if not place:
        return found
    if place.endswith(".py"):
        module = f"attncompare.{place.removesuffix('.py').replace('/', '.')}"
        body = ast.parse(folder.read_text(encoding="utf-8")).body
        for defined in (statement for statement in body if isinstance(statement, ast.ClassDef)):
            for statement in defined.body:
                match statement:
                    case ast.Assign(targets=[ast.Name(id="name")], value=ast.Constant(value=str(name))):
                        found[name] = EntryPoint(name, f"{module}:{defined.name}", group)
        return found
    for file in [*folder.glob("*.py"), *folder.glob("*/__init__.py")]:
        name = file.parent.name if file.name == "__init__.py" else file.stem
        one = "".join(word.capitalize() for word in name.split("_"))
        if re.search(rf"^class {one}[(:]", file.read_text(encoding="utf-8"), re.MULTILINE):
            module = f"attncompare.{place.replace('/', '.')}.{name}"
            found[name] = EntryPoint(name, f"{module}:{one}", group)
    return found
