"""What besides its config decides the numbers of a run, found without importing torch."""

import ast
import hashlib
import importlib.util
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, version
from pathlib import Path

from attncompare.config import RunConfig
from attncompare.config.plain_values import leaves
from attncompare.registry import installed, load

_PACKAGE = Path(__file__).parents[1]
# They write down and show what training computes.
_RECORDING = {"record", "maps", "wandb_logging"}
_SOURCES = {".py", ".cpp", ".h", ".cu"}
# The libraries that compute, read data, make tokens and score.
_LIBRARIES = (
    *("torch", "pytorch-lightning", "torchmetrics", "numpy", "tokenizers", "datasets", "sacrebleu"),
    *("babel", "num2words"),
)


def made_with(configs: Iterable[RunConfig]) -> dict[str, str]:
    """Return what trains ``configs``: where it is the same, what is finished need not be trained again.

    The sources are hashed themselves. So a commit to a page of text or to a report changes nothing, an edit that git
    does not know yet does, and a wheel and a checkout of the same code agree.
    """
    configs = list(configs)
    facts = {"code": _digest(sources()), "python": platform.python_version()}
    facts |= {name: version(name) for name in _LIBRARIES}
    chosen = {str(value) for config in configs for _, value in leaves(config.to_dict())}
    for entry in installed():
        if entry.name in chosen:
            facts[f"{entry.group.removeprefix('attncompare.')} {entry.name}"] = _plugin(entry)
    for config in {config.data: config for config in configs}.values():
        for path in data_files(config):
            with path.open("rb") as file:
                facts[f"data {path}"] = hashlib.file_digest(file, "sha256").hexdigest()
    return facts


def other_facts(recorded: Mapping[str, str] | None, now: Mapping[str, str]) -> list[str]:
    """Return what differs between what trained a run and what would train it ``now``; of no record, the code.

    Both may say more, for other runs of the sweep: what only one says does not count.
    """
    if not recorded or "code" not in recorded:
        return ["code"]
    return sorted(name for name in recorded.keys() & now.keys() if recorded[name] != now[name])


def data_files(config: RunConfig) -> list[Path]:
    """Return the local files that the run's data are read from, checked.

    Raises Refused: in one line, if one is missing or damaged."""
    files: list[Path] = load("datasets", config.data.name)(config.data, config.data_seed).files()
    return files


def sources(package: Path = _PACKAGE) -> dict[str, Path]:
    """Return the source files of training by their names in the package.

    They are those of the rooms that ``training/`` imports, directly or through another room, and the kernels' beside
    them. Rooms count as a whole, because parts that a config names are found by folder and imported by nobody.
    """
    found: dict[str, Path] = {}
    rooms, waiting = set(_RECORDING), ["training"]
    while waiting:
        if (room := waiting.pop()) in rooms:
            continue
        rooms.add(room)
        path = package / room
        for file in sorted(path.rglob("*")) if path.is_dir() else [path.with_suffix(".py")]:
            if file.suffix in _SOURCES and file.is_file():
                found[file.relative_to(package).as_posix()] = file
                waiting += _rooms_of(file, file.stat().st_mtime_ns) if file.suffix == ".py" else ()
    return found


@cache
def _rooms_of(file: Path, changed: int) -> frozenset[str]:  # noqa: ARG001  (a changed file is read anew)
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return frozenset(name.split(".")[1] for name in names if name.startswith("attncompare."))


def _plugin(entry: EntryPoint) -> str:
    top = entry.module.partition(".")[0]
    spec = importlib.util.find_spec(top)  # of a top-level package: nothing is imported
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    files = {f"{folder.name}/{file.relative_to(folder)}": file for folder in folders for file in folder.rglob("*.py")}
    if spec and spec.origin and not folders:
        files = {top: Path(spec.origin)}
    named = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    return f"{named} {_digest(files)[:16]}"


def _digest(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        content = file.read_bytes()
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()
