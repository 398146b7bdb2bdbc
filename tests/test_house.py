"""The house's rules that no linter knows: who may import whom, file sizes, and words that have no place here."""

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
CONFIG = {file.stem for file in PACKAGE.glob("config*.py")}
ROOMS = [
    {"errors", "registry", "plain_values", "metric_names", *CONFIG},
    {"machine", "native"},
    {"gpu"},
    {"data", "attention"},
    {"model"},
    {"demands"},
    {"decoding"},
    {"tasks"},
    {"tracking"},
    {"compare"},
    {"faults"},
    {"processes"},
    {"session"},
    {"train", "trained"},
    {
        *("sweep", "reproduce", "upload", "progress_board", "dashboard", "wandb_report", "inference"),
        "bench",
        *(
            "streams",
            "collection",
            "cli",
            "cli_arguments",
            "cli_bench",
            "cli_bench_models",
            "cli_decoding",
            "cli_train",
            "cli_views",
        ),
    },
]
FORBIDDEN = {  # beyond the order
    "gpu": {*CONFIG, "machine", "metric_names"},
    "attention": {*CONFIG, "data", "metric_names"},
    "model": {*CONFIG, "data", "metric_names"},
    "data": {"attention"},
}


def room_of(module):
    """Return the room of a file of the package: its folder, or itself; None for the package's face."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return None if parts == ("__init__",) else parts[0]


def imported_rooms(source):
    """Return the rooms that a module's source imports from, anywhere in it."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            base = node.module
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "attncompare" else [base]
        rooms |= {name.split(".")[1] for name in names if name.startswith("attncompare.")}
    return rooms


def level(room):
    (place,) = [number for number, rooms in enumerate(ROOMS) if room in rooms]
    return place


def wrong_imports(room, source):
    allowed = {other for rooms in ROOMS[: level(room)] for other in rooms} | {room}
    if level(room) in (0, len(ROOMS) - 1):  # the foundation and the roof are single files that build on each other
        allowed |= ROOMS[level(room)]
    return sorted(imported_rooms(source) - (allowed - FORBIDDEN.get(room, set())))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_a_room_imports_only_from_rooms_above_it(module):
    room = room_of(module)
    if room is not None:
        assert wrong_imports(room, module.read_text()) == []


def test_wrong_imports_are_found():
    assert wrong_imports("model", "from attncompare.tasks import Task") == ["tasks"]
    assert wrong_imports("attention", "def f():\n    import attncompare.data.order") == ["data"]
    assert wrong_imports("data", "from attncompare import train") == ["train"]
    assert wrong_imports("tracking", "from attncompare.tasks.base import Task") == []


def test_the_foundation_is_built_in_order():
    order = [
        "errors",
        "plain_values",
        "registry",
        "config_values",
        "config_errors",
        "config_checks",
        "config_data",
        "config_corpora",
        "config_task",
        "config_training",
        "config_older",
        "config",
    ]
    for place, room in enumerate(order):
        assert imported_rooms((PACKAGE / f"{room}.py").read_text()) <= set(order[:place])


def test_every_room_has_its_place():
    assert {room_of(module) for module in MODULES} - {None} == set().union(*ROOMS)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_a_file_does_one_thing(module):
    assert len(module.read_text().splitlines()) <= 300
    assert not re.search(r"util|helper|common|misc", module.stem)


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


@pytest.mark.parametrize("module", ["attncompare", "attncompare.cli", "attncompare.config", "attncompare.registry"])
def test_what_the_console_script_starts_with_imports_nothing_heavy(module):
    heavy = ("torch", "pytorch_lightning", "datasets", "matplotlib", "plotly", "wandb")
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
