"""The house's rules that no linter knows: who imports whom, and names and words that have no place here."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "attncompare"
MODULES = sorted(PACKAGE.rglob("*.py"))
# From top to bottom: each room imports from those above it, and from itself.
ROOMS = [
    *("errors", "registry", "text", "config", "attention", "model", "data", "decoding", "tasks", "record", "maps"),
    *("wandb_logging", "training", "compare", "sweep", "reproduce", "inference", "dashboard", "primer", "cli"),
]
FORBIDDEN = {("model", "data"), ("data", "model"), ("data", "attention")}  # beyond the order


def room_of(module):
    """Return the room of a file of the package: its folder, or itself; None for the package's face."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return None if parts[0] in ("__init__", "__main__") else parts[0]


def imported_rooms(source):
    """Return the rooms that a module's source imports from, anywhere in it but for types alone."""
    tree, rooms = ast.parse(source), set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            base = node.module
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "attncompare" else [base]
        rooms |= {name.split(".")[1] for name in names if name.startswith("attncompare.")}
    return rooms


def wrong_imports(room, source):
    above = {other for other in ROOMS[: ROOMS.index(room) + 1] if (room, other) not in FORBIDDEN}
    return sorted(imported_rooms(source) - above)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_above_it(room):
    modules = [module for module in MODULES if room_of(module) == room]
    assert modules, "a room that is gone"
    wrong = {str(module.relative_to(ROOT)): wrong_imports(room, module.read_text()) for module in modules}
    assert {module: rooms for module, rooms in wrong.items() if rooms} == {}


def test_wrong_imports_are_found():
    assert wrong_imports("model", "from attncompare.tasks import Task") == ["tasks"]
    assert wrong_imports("attention", "def f():\n    import attncompare.data.batches") == ["data"]
    assert wrong_imports("data", "from attncompare import training\nfrom attncompare.model import initialize") == [
        *("model", "training")
    ]
    assert wrong_imports("record", "from attncompare.tasks.base import Task") == []


def test_every_room_has_its_place_and_the_root_is_short():
    assert {room_of(module) for module in MODULES} - {None} == set(ROOMS)
    assert len(list(PACKAGE.glob("*.py"))) <= 8


def test_names_say_what_is_in_a_file():
    folders = (PACKAGE, ROOT / "tests", ROOT / "hydra_plugins")
    files = [file for folder in folders for file in folder.rglob("*.py")]
    assert [file for file in files if re.search(r"util|helper|misc", file.stem)] == []


def test_test_files_have_names_of_their_own():
    """Pytest imports them by their bare names."""
    stems = [file.stem for file in (ROOT / "tests").rglob("*.py") if file.stem not in ("__init__", "conftest")]
    stems = [stem for stem in stems if stem.startswith("test_")]
    assert sorted({stem for stem in stems if stems.count(stem) > 1}) == []


def test_no_path_of_one_machine_and_no_pickle():
    absolute = re.compile("|".join(f"/{folder}/" for folder in ("home", "root", "work", "Users", "opt")))
    pickles = re.compile(
        r"^\s*(import|from) (pickle|dill|cloudpickle|joblib)|allow_pickle=True|torch\.(load|save)\(", re.M
    )
    files = [*MODULES, *(ROOT / "hydra_plugins").glob("*.py"), *(ROOT / "conf").rglob("*.yaml"), *ROOT.glob("*.md")]
    for file in [*files, ROOT / "Makefile"]:
        text = file.read_text()
        assert not absolute.search(text), file
        assert not pickles.search(text), file


def test_the_linter_asks_for_a_docstring_on_everything_public():
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "D1" in lint["select"]
    assert {rule for rule in lint["ignore"] if rule.startswith("D")} <= {"D105", "D107"}  # magic methods, __init__


def test_what_the_console_script_starts_with_imports_nothing_heavy():
    heavy = ("torch", "pytorch_lightning", "datasets", "matplotlib", "plotly", "wandb")
    starts = "attncompare, attncompare.cli, attncompare.config, attncompare.registry, attncompare.training, attncompare.record"
    code = f"import sys, {starts}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
