"""The corpus ``pydocs``: the docstrings of the Python standard library that runs the program.

They are read from source with ``ast``; nothing is imported or executed.
"""

import ast
import random
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from attncompare.config import PydocsConfig
from attncompare.data.corpus import Corpus, corpus
from attncompare.errors import Refused

_LEFT_OUT = {"test", "tests", "idle_test", "idlelib", "site-packages"}


def load(config: PydocsConfig, data_seed: int) -> Corpus:
    """Read the corpus; whole modules go to one split, chosen by ``data_seed``, so that val and test are new.

    Raises:
        Refused: if this Python comes without the source of its library.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    modules = docstrings(folder)
    if not modules:
        raise Refused(
            f"data=pydocs: no source of the standard library in {folder}; use a Python that ships its .py files"
        )
    test, rest = _take(modules, sorted(modules), config.test_fraction, random.Random(f"pydocs test {data_seed}"))
    val, train = _take(modules, rest, config.val_fraction, random.Random(f"pydocs val {data_seed}"))
    chosen = {"train": train, "val": val, "test": test}
    return corpus(
        {split: {"text": [d for name in names for d in modules[name]]} for split, names in chosen.items()}, stream=True
    )


def docstrings(folder: Path) -> dict[str, list[str]]:
    """Return the cleaned docstrings below ``folder`` by top-level module; equal ones once, at the first module."""
    seen: set[str] = set()
    modules: dict[str, list[str]] = {}
    for name in sorted(sys.stdlib_module_names - _LEFT_OUT):
        for docstring in (found for file in _files(folder, name) for found in _docstrings(file)):
            if docstring not in seen:
                seen.add(docstring)
                modules.setdefault(name, []).append(docstring)
    return modules


def _files(folder: Path, name: str) -> list[Path]:
    package = (file for file in (folder / name).rglob("*.py") if not _LEFT_OUT & set(file.relative_to(folder).parts))
    return sorted(file for file in (folder / f"{name}.py", *package) if file.is_file())


def _docstrings(file: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old escapes in old modules are no business of ours
        tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)  # as inspect.cleandoc gives it
            if docstring:
                yield docstring


def _take(
    modules: dict[str, list[str]], names: list[str], fraction: float, rng: random.Random
) -> tuple[list[str], list[str]]:
    """Draw modules that hold as nearly as possible ``fraction`` of all bytes; return them and the others, sorted."""
    size = {name: sum(len(docstring.encode()) for docstring in found) for name, found in modules.items()}
    room = fraction * sum(size.values())
    taken = set()
    for name in rng.sample(names, len(names)):
        if size[name] <= room:
            taken.add(name)
            room -= size[name]
    # The smallest module left may overshoot by less than what is missing now.
    smallest = min((name for name in names if name not in taken), key=lambda name: (size[name], name), default=None)
    if smallest is not None and size[smallest] - room < room:
        taken.add(smallest)
    return sorted(taken), [name for name in names if name not in taken]
