"""The run record: a folder that explains itself (C7). :class:`RecordWriter` makes it, :class:`Run` reads it.

``metrics.csv`` grows by whole lines while the run goes on; every other file is written whole or not at all.
"""

import csv
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from attncompare.config import RunConfig, parse
from attncompare.errors import AttnCompareError, Refused
from attncompare.tracking.files import write_json, write_json_lines, write_yaml

State = Literal["running", "finished", "failed", "interrupted"]
STATES: tuple[State, ...] = get_args(State)
# What a finished run's summary holds beyond its state.
_FINAL = ("data", "best_step", "steps", "val", "test", "cost", "weights_sha256", "wall_seconds")
FORMAT = 1


class RecordWriter:
    """Writes the record of one run.

    Args:
        path: the run's folder, just made by :func:`attncompare.tracking.folders.create_folder`.
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
        except (OSError, ValueError) as error:
            raise Refused(f"{path / 'summary.json'}: damaged ({error})") from None
        if not isinstance(summary, dict) or summary.get("format") != FORMAT or summary.get("state") not in STATES:
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
                header, *rows = csv.reader(lines)
            if header[:2] != ["step", "epoch"] or any(len(row) != len(header) for row in rows):
                raise ValueError("its lines do not fit its header")
            return [{key: _number(cell) for key, cell in zip(header, row, strict=True) if cell} for row in rows]
        except (OSError, ValueError, csv.Error) as error:
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
        except (OSError, ValueError) as error:
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
            killed = " (or its process was killed)" if self.state == "running" else ""
            why = f": {self.summary['message']}" if self.summary.get("message") else ""
            raise Refused(f"{self.path}: the run is {self.state}, not finished{killed}{why}")
        missing = [key for key in _FINAL if key not in self.summary]
        if missing:
            raise Refused(f"{self.path / 'summary.json'}: damaged (no {', '.join(missing)})")
        return self

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.path / name).read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise Refused(f"{self.path / name}: damaged ({error})") from None


def mark_lost(path: Path, message: str) -> None:
    """Close the record of a run whose process is gone without having closed it itself: it has failed."""
    run = Run.open(path)
    if run.state == "running":
        write_json(path / "summary.json", {**run.summary, "state": "failed", "message": message})


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
