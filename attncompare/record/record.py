"""The run record: a folder that explains itself (C7), read back and checked; ``record_writer.py`` makes it."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from attncompare.config import RunConfig, parse
from attncompare.errors import Refused
from attncompare.record.files import write_json
from attncompare.record.lock import is_locked
from attncompare.maps.maps import ProbeMaps, maps_from
from attncompare.record.reading import LIMIT, read_inside, safe_json, safe_yaml
from attncompare.record.seal import MANIFEST, check, digest, read_manifest
from attncompare.record.words import how_to_resume, how_to_upload

State = Literal["running", "finished", "failed", "interrupted"]
STATES: tuple[State, ...] = get_args(State)
# What a finished run's summary holds beyond its state.
_FINAL = ("data", "best_step", "steps", "val", "test", "cost", "weights_sha256", "wall_seconds")
FORMAT = 2  # 2: finished records are sealed, unfinished ones can be resumed
_MOST_THREADS = 1024
_LONGEST_NUMBER = 40  # characters; Python writes at most 24
RUN_MARKS = ("summary.json", MANIFEST)  # a folder with either is a run, or what is left of one
BEST_WEIGHTS = "checkpoints/best.safetensors"
LAST_WEIGHTS = "checkpoints/last.safetensors"
AVERAGED_WEIGHTS = "checkpoints/averaged.safetensors"


@dataclass(frozen=True)
class Run:
    """A run read from its folder. What a finished run holds is checked against its seal at every reading."""

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
        content = read_inside(path, "summary.json")
        summary = safe_json(content, path / "summary.json")
        if not isinstance(summary, dict) or summary.get("format") != FORMAT or summary.get("state") not in STATES:
            raise Refused(f"{path / 'summary.json'}: not a record of format {FORMAT}")
        run = cls(path, summary)
        run._check("summary.json", content)
        return run

    @property
    def state(self) -> State:
        """Return running, finished, failed or interrupted."""
        return self.summary["state"]

    @property
    def tested_weights(self) -> str:
        """Return the file of the weights that were tested: the best on val, or the mean of the last."""
        return AVERAGED_WEIGHTS if self.summary.get("tested") == "averaged" else BEST_WEIGHTS

    def alive(self) -> bool:
        """Return whether a process is training this run now."""
        return is_locked(self.path)

    @cached_property
    def config(self) -> RunConfig:
        """Return what was trained."""
        file = self.path / "config.yaml"
        try:
            content = self.read("config.yaml")
            if self._sealed is None and digest(content) != self.summary.get("config_sha256"):
                raise Refused("not what the run began with")
            return parse(safe_yaml(content, file))
        except Refused as error:
            raise error if str(error).startswith(str(file)) else Refused(f"{file}: {error}") from None

    def read(self, name: str, limit: int = LIMIT) -> bytes:
        """Return the content of the file ``name`` (``maps/step-0000100.npz``), at most ``limit`` bytes.

        Raises:
            Refused: if it is missing, leads out of the folder, or is not what the finished run wrote.
        """
        content = read_inside(self.path, name, limit)
        self._check(name, content)
        return content

    def metrics(self) -> list[dict[str, float]]:
        """Return the rows of ``metrics.csv`` in order; an empty cell is an absent key."""
        try:
            text = self.read("metrics.csv").decode()
            # While a run goes on, a line may be half written.
            text = text if self.state == "finished" else text[: text.rfind("\n") + 1]
            header, *rows = csv.reader(io.StringIO(text, newline=""))
            if header[:2] != ["step", "epoch"] or any(len(row) != len(header) for row in rows):
                raise ValueError("its lines do not fit its header")
            return [{key: _number(cell) for key, cell in zip(header, row, strict=True) if cell} for row in rows]
        except (ValueError, csv.Error) as error:
            raise Refused(f"{self.path / 'metrics.csv'}: damaged ({error})") from None

    def environment(self) -> dict[str, Any]:
        """Return what ``environment.json`` says of versions, code and machine."""
        facts = safe_json(self.read("environment.json"), self.path / "environment.json")
        if not isinstance(facts, dict):
            raise Refused(f"{self.path / 'environment.json'}: damaged (no list of facts)")
        return facts

    def predictions(self) -> list[dict[str, Any]]:
        """Return the rows of ``predictions.jsonl``, none where the run has not got that far."""
        return self._rows("predictions.jsonl")

    def losses(self) -> list[dict[str, Any]]:
        """Return the test loss by item (``id``, ``nats``, ``tokens``, for texts ``bytes``), none where it is not kept.

        Raises:
            Refused: if the file is damaged, or a row lacks a figure.
        """
        rows = self._rows("losses.jsonl")
        for number, row in enumerate(rows, 1):
            counts = [row.get(key) for key in ("id", "tokens", *(["bytes"] if "bytes" in row else []))]
            if type(row.get("nats")) is not float or any(type(count) is not int or count < 0 for count in counts):
                raise Refused(f"{self.path / 'losses.jsonl'}: line {number}: damaged (no loss of an item)")
        return rows

    def _rows(self, name: str) -> list[dict[str, Any]]:
        file = self.path / name
        if not self._has(name):
            return []
        *lines, rest = self.read(name).split(b"\n")
        if rest:
            raise Refused(f"{file}: damaged (its last line has no end)")
        rows = [safe_json(line, f"{file}: line {number}") for number, line in enumerate(lines, 1)]
        if not all(isinstance(row, dict) for row in rows):
            raise Refused(f"{file}: damaged (a line is no object)")
        return rows

    def map_files(self) -> list[Path]:
        """Return the files of attention maps, by training step."""
        if self._sealed is not None:
            names = [name for name in self._sealed if name.startswith("maps/step-") and name.endswith(".npz")]
            return [self.path / name for name in sorted(names)]
        return sorted((self.path / "maps").glob("step-*.npz"))

    def maps(self) -> list[tuple[int, list[ProbeMaps]]]:
        """Return the attention maps of the probes at each validation, with its step."""
        maps = [maps_from(self.read(f"maps/{file.name}"), file) for file in self.map_files()]
        return sorted(maps, key=lambda pair: pair[0])

    def require_finished(self) -> "Run":
        """Return the run itself, or refuse with its state."""
        if self.state != "finished":
            raise Refused(f"{self.path}: the run {self.standing()}")
        missing = [key for key in _FINAL if key not in self.summary]
        if missing:
            raise Refused(f"{self.path / 'summary.json'}: damaged (no {', '.join(missing)})")
        return self

    def standing(self) -> str:
        """Return in words where an unfinished run stands, and what can be done."""
        if self.alive():
            return "is being trained right now"
        why = f": {self.summary['message']}" if self.summary.get("message") else ""
        how = "was killed while it was running" if self.state == "running" else f"is {self.state}, not finished"
        return f"{how}{why}; {how_to_resume(self.path)}"

    def wandb_note(self) -> str | None:
        """Return what W&B lacks of this run and how to send it, if anything."""
        missing = self.summary["wandb"].get("missing")
        return f"{missing}; {how_to_upload(self.path)}" if missing else None

    @cached_property
    def _sealed(self) -> dict[str, str] | None:
        """The SHA-256 of each file of a finished run; an unfinished one still changes."""
        return read_manifest(self.path) if self.state == "finished" else None

    def _has(self, name: str) -> bool:
        return (self.path / name).exists() if self._sealed is None else name in self._sealed

    def _check(self, name: str, content: bytes) -> None:
        if self._sealed is not None:
            check(self.path / name, content, self._sealed.get(name))


def recorded_threads(environment: dict[str, Any], source: str | Path) -> int | None:
    """Return the CPU threads of a run from its ``environment.json``; None where it does not say.

    With another number of threads, sums are rounded in another order.

    Args:
        environment: what the file holds.
        source: where it was found, for the message.

    Raises:
        Refused: if that is no number of threads.
    """
    threads = environment.get("threads")
    if threads is not None and (type(threads) is not int or not 1 <= threads <= _MOST_THREADS):
        raise Refused(
            f"{source}: its environment says threads={threads}; valid: a whole number from 1 to {_MOST_THREADS}"
        )
    return threads


def require_unfinished_facts(run: Run) -> None:
    """Refuse the summary of an unfinished run, which no seal protects yet, if it is not what attncompare writes.

    Raises:
        Refused: names the first such fact.
    """
    kinds = {"data": dict, "resumed": list, "wandb": dict, "group": str | None}
    for key, kind in kinds.items():
        if key in run.summary and not isinstance(run.summary[key], kind):
            raise Refused(f"{run.path / 'summary.json'}: damaged ({key})")
    if not isinstance(run.summary.get("wandb", {}).get("id"), str):
        raise Refused(f"{run.path / 'summary.json'}: damaged (wandb.id)")


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
        # A folder with either file is a run, or what is left of one, which must not be passed over in silence.
        files = (file for name in RUN_MARKS for file in path.rglob(name))
        found = [path] if is_run(path) else sorted({file.parent for file in files})
        if not found:
            raise Refused(f"{path}: neither a run nor a folder that holds runs")
        runs.update({folder.resolve(): Run.open(folder) for folder in found if folder.resolve() not in runs})
    return list(runs.values())


def _number(cell: str) -> float:
    if len(cell) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(cell)} characters")
    return int(cell) if cell.lstrip("-").isdigit() else float(cell)
