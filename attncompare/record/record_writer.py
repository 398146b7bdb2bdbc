"""Writing the run record (C7): ``metrics.csv`` grows by whole lines, every other file is written whole or not at all."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attncompare.config import RunConfig
from attncompare.errors import Refused
from attncompare.record.files import (
    append_line,
    json_bytes,
    remove_leftovers,
    synced,
    write_bytes,
    write_json,
    write_json_lines,
    write_text,
    write_yaml,
    yaml_bytes,
)
from attncompare.record.record import FORMAT, Run, State
from attncompare.record.seal import MANIFEST, digest, seal

_RESERVE = 2**16  # bytes


class RecordWriter:
    """Writes the record of one run; made by :meth:`create` or, for a run that goes on, by :meth:`reopen`.

    Args:
        path: the run's folder.
        config: what is trained.
        columns: all metrics that will ever be logged, so that ``metrics.csv`` has one header.
        summary: what ``summary.json`` holds so far.
    """

    def __init__(self, path: Path, config: RunConfig, columns: Sequence[str], summary: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self.summary = summary
        self._columns = ("step", "epoch", *columns)
        self._started = time.perf_counter()
        self._seconds_before = float(summary.get("wall_seconds", 0.0))
        # Room on the disk that is given back at the end, so that the end can be written where the disk is full.
        write_bytes(self._reserve, os.urandom(_RESERVE))

    @classmethod
    def create(
        cls, path: Path, config: RunConfig, overrides: Sequence[str], columns: Sequence[str], **facts: Any
    ) -> "RecordWriter":
        """Begin the record of a run in ``path``, its folder, just made.

        Args:
            path: the folder.
            config: what is trained.
            overrides: what the user asked for, as Hydra overrides.
            columns: all metrics that will ever be logged.
            facts: further entries of ``summary.json``.
        """
        settings = yaml_bytes(config.to_dict())
        write_bytes(path / "config.yaml", settings)
        write_yaml(path / "overrides.yaml", list(overrides))
        begun = {"format": FORMAT, "state": "running", "task": config.task.name, "label": config.attention.name}
        record = cls(path, config, columns, {**begun, "message": None, "config_sha256": digest(settings), **facts})
        record._begin_metrics()
        record._write_summary()
        return record

    @classmethod
    def reopen(
        cls,
        run: Run,
        columns: Sequence[str],
        *,
        resumed: list[dict[str, Any]],
        metrics_bytes: int | None = None,
        metrics_sha256: str = "",
        wall_seconds: float = 0.0,
    ) -> "RecordWriter":
        """Go on with the record of an unfinished run.

        Args:
            run: the record so far.
            columns: all metrics that will ever be logged.
            resumed: where it was gone on with, now and before, for the summary.
            metrics_bytes: how much of ``metrics.csv`` stays; None: nothing.
            metrics_sha256: what that part must be.
            wall_seconds: what the run has taken so far.

        Raises:
            Refused: if ``metrics.csv`` is shorter, or another one.
        """
        metrics = run.path / "metrics.csv"
        if metrics_bytes is not None and digest(run.read("metrics.csv")[:metrics_bytes]) != metrics_sha256:
            raise Refused(f"{metrics}: its rows are not those from before the checkpoint; train a new run")
        remove_leftovers(run.path)
        (run.path / MANIFEST).unlink(missing_ok=True)
        begun = {**run.summary, "state": "running", "message": None, "wall_seconds": wall_seconds, "resumed": resumed}
        record = cls(run.path, run.config, columns, begun)
        if metrics_bytes is None:
            record._begin_metrics()
        else:
            os.truncate(metrics, metrics_bytes)
        record._write_summary()
        return record

    def log(self, step: int, epoch: int, values: dict[str, float]) -> None:
        """Append one row to ``metrics.csv``; floats are written so that reading gives the same bits."""
        unknown = values.keys() - set(self._columns)
        if unknown:
            raise KeyError(f"metrics without a column: {sorted(unknown)}")
        row = {"step": step, "epoch": epoch, **values}
        line = ",".join(repr(row[column]) if column in row else "" for column in self._columns)
        append_line(self.path / "metrics.csv", line)

    def metrics_so_far(self) -> dict[str, Any]:
        """Return length and SHA-256 of ``metrics.csv``, once all of it is safe on the disk, as :meth:`reopen` asks."""
        content = synced(self.path / "metrics.csv")
        return {"metrics_bytes": len(content), "metrics_sha256": digest(content)}

    def environment(self, facts: dict[str, Any]) -> None:
        """Write ``environment.json``."""
        write_json(self.path / "environment.json", facts)

    def predictions(self, rows: list[dict[str, Any]]) -> None:
        """Write ``predictions.jsonl``."""
        write_json_lines(self.path / "predictions.jsonl", rows)

    def losses(self, rows: list[dict[str, Any]]) -> None:
        """Write ``losses.jsonl``."""
        write_json_lines(self.path / "losses.jsonl", rows)

    def update(self, **facts: Any) -> None:
        """Add facts to ``summary.json``."""
        self.summary.update(facts)
        self._write_summary()

    @property
    def wall_seconds(self) -> float:
        """Return the seconds since the run began, without those between an interruption and its resumption."""
        return round(self._seconds_before + time.perf_counter() - self._started, 3)

    def close(self, state: State, message: str | None = None) -> None:
        """Write the final state; ``message`` says why, where it is not ``finished``. A finished record is sealed."""
        self._reserve.unlink(missing_ok=True)
        self.summary.update(state=state, message=message, wall_seconds=self.wall_seconds)
        if state == "finished":
            # The manifest first: a record is finished from the moment that its summary says so.
            seal(self.path, json_bytes(self.summary))
        self._write_summary()

    @property
    def _reserve(self) -> Path:
        return self.path / ".reserve"

    def _begin_metrics(self) -> None:
        write_text(self.path / "metrics.csv", ",".join(self._columns) + "\n")

    def _write_summary(self) -> None:
        write_json(self.path / "summary.json", self.summary)
