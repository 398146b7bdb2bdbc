"""The source of the Python standard library that runs the program, by module, and how modules are divided into splits.

It is read with ``ast``; nothing is imported or executed.
"""

import ast
import random
import sys
import sysconfig
import warnings
from collections.abc import Mapping
from pathlib import Path

from attncompare.errors import Refused

LEFT_OUT = {"test", "tests", "idle_test", "idlelib", "site-packages"}
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
"""What can have a docstring."""


def source_folder(name: str) -> Path:
    """Return where the source lies; refused if this Python comes without it. ``name`` is the dataset's, for the message."""
    folder = Path(sysconfig.get_path("stdlib"))
    if not any(source_files(folder).values()):
        raise Refused(
            f"data={name}: no source of the standard library in {folder}; use a Python that ships its .py files"
        )
    return folder


def source_files(folder: Path) -> dict[str, list[Path]]:
    """Return the source files below ``folder`` by top-level module, both sorted; tests and installed packages are left out."""
    return {name: _files(folder, name) for name in sorted(sys.stdlib_module_names - LEFT_OUT)}


def documented(file: Path) -> list[tuple[Documented, str]]:
    """Return the modules, classes and functions of a file that have a docstring, and that, as inspect.cleandoc gives it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old escapes in old modules
        tree = ast.parse(file.read_bytes())
    nodes = (node for node in ast.walk(tree) if isinstance(node, Documented))
    return [(node, docstring) for node in nodes if (docstring := ast.get_docstring(node))]


def split_by_module(
    sizes: Mapping[str, int], val_fraction: float, test_fraction: float, name: str, seed: int
) -> dict[str, list[str]]:
    """Return the modules of train, val and test, sorted, such that val and test have as nearly as possible their shares.

    Args:
        sizes: bytes of each module.
        val_fraction: the share of all bytes that becomes val.
        test_fraction: likewise of test.
        name: of the dataset, which draws for itself.
        seed: of the draw.
    """
    test, rest = _take(sizes, sorted(sizes), test_fraction, random.Random(f"{name} test {seed}"))
    val, train = _take(sizes, rest, val_fraction, random.Random(f"{name} val {seed}"))
    return {"train": train, "val": val, "test": test}


def _files(folder: Path, name: str) -> list[Path]:
    package = (file for file in (folder / name).rglob("*.py") if not LEFT_OUT & set(file.relative_to(folder).parts))
    return sorted(file for file in (folder / f"{name}.py", *package) if file.is_file())


def _take(
    sizes: Mapping[str, int], names: list[str], fraction: float, rng: random.Random
) -> tuple[list[str], list[str]]:
    """Draw modules that hold as nearly as possible ``fraction`` of all bytes; return them and the others, sorted."""
    room = fraction * sum(sizes.values())
    taken = set()
    for name in rng.sample(names, len(names)):
        if sizes[name] <= room:
            taken.add(name)
            room -= sizes[name]
    # The smallest module left may overshoot by less than what is missing now.
    smallest = min((name for name in names if name not in taken), key=lambda name: (sizes[name], name), default=None)
    if smallest is not None and sizes[smallest] - room < room:
        taken.add(smallest)
    return sorted(taken), [name for name in names if name not in taken]
