"""The run record: a folder that explains itself (C7). :class:`RecordWriter` makes it, :class:`Run` reads it.

``metrics.csv`` grows by whole lines while the run goes on; every other file is written whole or not at all.
"""

import csv
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from attncompare.config import RunConfig, parse
from attncompare.errors import AttnCompareError, Refused
from attncompare.tracking.files import write_json, write_json_lines, write_yaml

State = Literal["running", "finished", "failed", "interrupted"]
FORMAT = 1


def create_folder(config: RunConfig, parent: Path | None = None) -> Path:
    """Make a new folder for a run: ``<runs>/<date>/<time>-<task>-<attention>-h<heads>-s<seed>-<hash>``.

    Args:
        config: what will be trained.
        parent: where to put the folder instead of ``<runs>/<date>``, for example a sweep's folder.

    Raises:
        Refused: if the folder cannot be written.
    """
    now = datetime.now()
    parent = parent or Path(config.runs) / f"{now:%Y-%m-%d}"
    attention = config.attention
    stem = (
        f"{now:%H-%M-%S}-{config.task.name}-{attention.name}-h{attention.heads}-s{config.seed}-{config.hash()[:6]}"
    )
    for suffix in ("", *(f"-{n}" for n in range(2, 10_000))):
        folder = parent / (stem + suffix)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not parent.is_dir():
                raise Refused(f"runs={config.runs}: {parent} is a file, not a folder") from None
            continue
        except OSError as error:
            raise Refused(f"runs={config.runs}: cannot write there ({error.strerror})") from None
        return folder
    raise Refused(f"{parent} is full of runs named {stem}")


class RecordWriter:
    """Writes the record of one run.

    Args:
        path: the run's folder, just made by :func:`create_folder`.
        config: what is trained.
        overrides: what the user asked for, as Hydra overrides.
        columns: all metrics that will ever be logged, so that ``metrics.csv`` has one header.
    """

    def __init__(self, path: Path, config: RunConfig, overrides: Sequence[str], columns: Sequence[str]) -> None:
        self.path = path
        self.config = config
        self._columns = ("step", "epoch", *columns)
        self._started = time.perf_counter()
        write_yaml(path / "config.yaml", config.to_dict())
        write_yaml(path / "overrides.yaml", list(overrides))
        (path / "metrics.csv").write_text(",".join(self._columns) + "\n")
        self.summary: dict[str, Any] = {
            "format": FORMAT,
            "state": "running",
            "task": config.task.name,
            "label": config.attention.name,
            "message": None,
        }
        self._write_summary()

    def log(self, step: int, epoch: int, values: dict[str, float]) -> None:
        """Append one row to ``metrics.csv``; floats are written so that reading gives the same bits."""
        unknown = values.keys() - set(self._columns)
        if unknown:
            raise KeyError(f"metrics without a column: {sorted(unknown)}")
        row = {"step": step, "epoch": epoch, **values}
        line = ",".join(repr(row[column]) if column in row else "" for column in self._columns)
        with (self.path / "metrics.csv").open("a") as file:
            file.write(line + "\n")

    def environment(self, facts: dict[str, Any]) -> None:
        """Write ``environment.json``."""
        write_json(self.path / "environment.json", facts)

    def predictions(self, rows: list[dict[str, Any]]) -> None:
        """Write ``predictions.jsonl``."""
        write_json_lines(self.path / "predictions.jsonl", rows)

    def update(self, **facts: Any) -> None:
        """Add facts to ``summary.json``."""
        self.summary.update(facts)
        self._write_summary()

    def close(self, state: State, message: str | None = None) -> None:
        """Write the final state; ``message`` says why, where it is not ``finished``."""
        self.update(state=state, message=message, wall_seconds=round(time.perf_counter() - self._started, 3))

    def _write_summary(self) -> None:
        write_json(self.path / "summary.json", self.summary)


@dataclass(frozen=True)
class Run:
    """A run read from its folder."""

    path: Path
    summary: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """Read the run in the folder ``path``.

        Raises:
            Refused: if the folder is no run, or its record is damaged.
        """
        path = Path(path)
        if not path.exists():
            raise Refused(f"{path}: no such folder")
        if not is_run(path):
            raise Refused(f"{path}: not a run (a run's folder holds config.yaml and summary.json)")
        try:
            summary = json.loads((path / "summary.json").read_text())
        except ValueError as error:
            raise Refused(f"{path / 'summary.json'}: damaged ({error})") from None
        if not isinstance(summary, dict) or summary.get("format") != FORMAT:
            raise Refused(f"{path / 'summary.json'}: not a record of format {FORMAT}")
        return cls(path, summary)

    @property
    def state(self) -> State:
        """Return running, finished, failed or interrupted."""
        return self.summary["state"]

    @cached_property
    def config(self) -> RunConfig:
        """Return what was trained."""
        try:
            values = yaml.safe_load((self.path / "config.yaml").read_text())
            return parse(values)
        except (AttnCompareError, yaml.YAMLError, ValueError, TypeError) as error:
            raise Refused(f"{self.path / 'config.yaml'}: {str(error).splitlines()[0]}") from None

    def metrics(self) -> list[dict[str, float]]:
        """Return the rows of ``metrics.csv`` in order; an empty cell is an absent key."""
        file = self.path / "metrics.csv"
        try:
            with file.open(newline="") as lines:
                return [{key: _number(cell) for key, cell in row.items() if cell} for row in csv.DictReader(lines)]
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise Refused(f"{file}: damaged ({error})") from None

    def environment(self) -> dict[str, Any]:
        """Return what ``environment.json`` says of versions, code and machine."""
        return self._json("environment.json")

    def predictions(self) -> list[dict[str, Any]]:
        """Return the rows of ``predictions.jsonl``, none where the run has not got that far."""
        file = self.path / "predictions.jsonl"
        if not file.exists():
            return []
        try:
            return [json.loads(line) for line in file.read_text().splitlines()]
        except ValueError as error:
            raise Refused(f"{file}: damaged ({error})") from None

    def map_files(self) -> list[Path]:
        """Return the files of attention maps, by training step."""
        return sorted((self.path / "maps").glob("step-*.npz"))

    @property
    def best_weights(self) -> Path:
        """Return the file of the weights with the lowest validation loss."""
        return self.path / "checkpoints" / "best.safetensors"

    @property
    def tokenizer_file(self) -> Path:
        """Return the file of the tokenizer that the run trained."""
        return self.path / "tokenizer.json"

    def require_finished(self) -> "Run":
        """Return the run itself, or refuse with its state."""
        if self.state != "finished":
            why = f": {self.summary['message']}" if self.summary.get("message") else ""
            raise Refused(f"{self.path}: the run is {self.state}, not finished{why}")
        return self

    def _json(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text())
        except (OSError, ValueError) as error:
            raise Refused(f"{self.path / name}: damaged ({error})") from None


def is_run(path: Path) -> bool:
    """Return whether ``path`` is the folder of a run."""
    return (path / "config.yaml").is_file() and (path / "summary.json").is_file()


def find_runs(paths: Iterable[str | Path]) -> list[Run]:
    """Open every run among ``paths``: each the folder of a run, or a folder that holds runs at any depth.

    Raises:
        Refused: if a path does not exist or holds no run.
    """
    runs: dict[Path, Run] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            raise Refused(f"{path}: no such folder")
        found = [path] if is_run(path) else sorted(file.parent for file in path.rglob("summary.json"))
        found = [folder for folder in found if is_run(folder)]
        if not found:
            raise Refused(f"{path}: neither a run nor a folder that holds runs")
        runs.update({folder.resolve(): Run.open(folder) for folder in found if folder.resolve() not in runs})
    return list(runs.values())


def _number(cell: str) -> float:
    return int(cell) if cell.lstrip("-").isdigit() else float(cell)
