"""The dataset ``pydocs``: the docstrings of the Python standard library that runs the program.

They are read from source with ``ast``; nothing is imported or executed.
"""

import ast
import random
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attncompare.config.values import SplitFraction
from attncompare.data.dataset import Dataset, DatasetConfig
from attncompare.errors import Refused

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus

_LEFT_OUT = {"test", "tests", "idle_test", "idlelib", "site-packages"}


class Pydocs(Dataset):
    """``data=pydocs``: whole modules go to one split, so that val and test are new."""

    kind = "text"

    class Config(DatasetConfig):
        """The shares of the text that become val and test."""

        val_fraction: SplitFraction
        test_fraction: SplitFraction

    config: Config

    def load(self) -> "Corpus":
        """Read the docstrings; refused if this Python comes without the source of its library."""
        from attncompare.data.corpus import corpus

        folder, config, seed = Path(sysconfig.get_path("stdlib")), self.config, self.data_seed
        modules = docstrings(folder)
        if not modules:
            raise Refused(
                f"data=pydocs: no source of the standard library in {folder}; use a Python that ships its .py files"
            )
        test, rest = _take(modules, sorted(modules), config.test_fraction, random.Random(f"pydocs test {seed}"))
        val, train = _take(modules, rest, config.val_fraction, random.Random(f"pydocs val {seed}"))
        splits = {"train": train, "val": val, "test": test}
        texts = {split: {"text": [text for name in names for text in modules[name]]} for split, names in splits.items()}
        return corpus(texts, stream=True)


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
        warnings.simplefilter("ignore")  # of old escapes in old modules
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
