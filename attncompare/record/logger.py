"""Writing the record of a run, as a Lightning logger: its two csv files grow by whole rows, every other file is atomic."""

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from attncompare.config import RunConfig, variant_label
from attncompare.errors import Refused
from attncompare.record import files
from attncompare.record.run import FORMAT, HEAD_KEY, MANIFEST, PLACE_OF_HEAD, Run, State, seal

_RESERVE = 2**16  # bytes


class RecordLogger(Logger):
    """Writes the record of one run; made by :meth:`create` or, for a run that goes on, by :meth:`reopen`.

    Only the process of rank zero writes; in the others every method does nothing. Lightning's ``finalize`` leaves the
    record open: testing and predictions come after it, and :meth:`close` seals.
    """

    def __init__(self, path: Path, config: RunConfig, summary: dict[str, Any]) -> None:
        super().__init__()
        self.path, self.config, self.summary = path, config, summary
        # Room on the disk that is given back at the end, so that the end can be written where the disk is full.
        self._reserve = path / ".reserve"
        self._columns = ["step", "epoch"]
        self._head_columns: list[str] = []
        self._head_rows = 0
        self._bytes, self._sha256 = 0, hashlib.sha256()  # of the rows, see _named
        self._started = time.perf_counter()
        self._seconds_before = float(summary.get("wall_seconds", 0.0))

    @classmethod
    def create(cls, folder: Path, config: RunConfig, overrides: Sequence[str], **facts: Any) -> "RecordLogger":
        """Begin the record of a run in its ``folder``, just made; ``facts`` are further entries of ``summary.json``."""
        settings = files.yaml_bytes(config.to_dict())
        begun = {
            "format": FORMAT,
            "state": "running",
            "task": config.task.name,
            "label": variant_label(config.attention),
        }
        logger = cls(folder, config, {**begun, "message": None, "config_sha256": files.digest(settings), **facts})
        files.write_bytes(folder / "config.yaml", settings)
        files.write_yaml(folder / "overrides.yaml", list(overrides))
        logger._begin([])
        return logger

    @classmethod
    def reopen(
        cls,
        run: Run,
        resumed: Sequence[Mapping[str, Any]] = (),
        *,
        made_with: Mapping[str, str] | None = None,
        wall_seconds: float = 0.0,
        head_rows: int = 0,
        **metrics: Any,
    ) -> "RecordLogger":
        """Go on with the record of an unfinished run.

        ``resumed`` says where it was gone on with, before and now, and ``made_with`` what has trained it, if that did not
        change, for the summary; ``metrics`` which rows of ``metrics.csv`` stay, and ``head_rows`` how many of ``heads.csv``, as
        :meth:`metrics_so_far` said: without it, none.
        Raises Refused if the files hold less, or ``metrics.csv`` something else.
        """
        goes_on: dict[str, Any] = {"state": "running", "message": None, "wall_seconds": wall_seconds}
        goes_on |= {"resumed": list(resumed), "made_with": made_with}
        logger = cls(run.path, run.config, {**run.summary, **goes_on})
        rows, known = [], bytearray()
        if metrics:
            header, *lines = run.read("metrics.csv").decode(errors="replace").split("\n")
            logger._columns = header.split(",")
            while len(known) < metrics["metrics_bytes"] and lines:
                rows.append(lines.pop(0))
                known += _named(logger._columns, rows[-1].split(","))
            if files.digest(known) != metrics["metrics_sha256"]:
                file = run.path / "metrics.csv"
                raise Refused(f"{file}: its rows are not those from before the checkpoint; train a new run")
        for leftover in [*run.path.glob(".*.tmp"), *run.path.glob("*/.*.tmp")]:  # of a process killed while it wrote
            leftover.unlink()
        (run.path / MANIFEST).unlink(missing_ok=True)
        logger._count(known)
        logger._keep_heads(run, head_rows)
        logger._begin(rows)
        return logger

    # Lightning takes save_dir/name/version together as the run's folder, and save_dir alone as the trainer's log_dir.
    save_dir = log_dir = property(lambda self: str(self.path))
    name = version = property(lambda self: "")  # noqa: ARG005

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Append one row to ``metrics.csv``: the step, the epoch if ``metrics`` holds one, and the metrics.

        Floats are written so that reading gives the same bits. A metric that is new gets a column behind the others.
        Numbers of heads (:data:`HEAD_KEY`) become rows of ``heads.csv`` instead, one for each head: as columns they would be
        hundreds, empty in nearly all rows.
        """
        heads = {key: float(value) for key, value in metrics.items() if HEAD_KEY.fullmatch(key)}
        if heads:
            self._log_heads(heads, step)
            metrics = {key: value for key, value in metrics.items() if key not in heads}
            if not metrics:
                return
        row = {key: value if isinstance(value, int) else float(value) for key, value in metrics.items()} | {
            "step": step
        }
        if "epoch" in row:
            row["epoch"] = int(row["epoch"])
        if new := [key for key in row if key not in self._columns]:
            if any(character in key for key in new for character in ',"\r\n'):
                raise ValueError(f"names of metrics hold no commas, quotes or line ends: {new}")
            _, *rows = (self.path / "metrics.csv").read_text().splitlines()
            self._columns += new
            self._write_rows([before + "," * len(new) for before in rows])
        cells = [repr(row[column]) if column in row else "" for column in self._columns]
        files.append_line(self.path / "metrics.csv", ",".join(cells))
        self._count(_named(self._columns, cells))

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Write nothing: ``config.yaml`` holds all of them from the beginning on."""

    @rank_zero_only
    def environment(self, facts: Mapping[str, Any]) -> None:
        """Write ``environment.json``."""
        files.write_json(self.path / "environment.json", facts)

    @rank_zero_only
    def predictions(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write ``predictions.jsonl``, a line for each test item that was decoded."""
        files.write_json_lines(self.path / "predictions.jsonl", rows)

    @rank_zero_only
    def items(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write ``items.jsonl``, a line for each test item with the sums of each metric."""
        files.write_json_lines(self.path / "items.jsonl", rows)

    @rank_zero_only
    def update(self, **facts: Any) -> None:
        """Add facts to ``summary.json``."""
        self.summary.update(facts)
        files.write_json(self.path / "summary.json", self.summary)

    @property
    def wall_seconds(self) -> float:
        """Seconds since the run began, without those between an interruption and its resumption."""
        return round(self._seconds_before + time.perf_counter() - self._started, 3)

    def metrics_so_far(self) -> dict[str, Any]:
        """Return size and SHA-256 of the rows, once all are safe on the disk, as :meth:`reopen` takes them."""
        if rank_zero_only.rank == 0:
            files.sync(self.path / "metrics.csv")
            if self._head_rows:
                files.sync(self.path / "heads.csv")
        known = {"metrics_bytes": self._bytes, "metrics_sha256": self._sha256.hexdigest()}
        return {**known, "head_rows": self._head_rows}

    @rank_zero_only
    def close(self, state: State, message: str | None = None) -> None:
        """Write the final state; ``message`` says why, where it is not ``finished``. A finished record is sealed."""
        self._reserve.unlink(missing_ok=True)
        self.summary.update(state=state, message=message, wall_seconds=self.wall_seconds)
        if state == "finished":
            # The manifest first: a record is finished from the moment that its summary says so.
            seal(self.path, files.json_bytes(self.summary))
        self.update()

    def _log_heads(self, values: Mapping[str, float], step: int) -> None:
        """Append a row for each head to ``heads.csv``; a number that is new gets a column behind the others."""
        by_head: dict[tuple[str, str, str], dict[str, float]] = {}
        for key, value in values.items():
            site, layer, head, number = HEAD_KEY.fullmatch(key).groups()  # type: ignore[union-attr]
            by_head.setdefault((site, layer, head), {})[number] = value
        path, names = self.path / "heads.csv", dict.fromkeys(name for one in by_head.values() for name in one)
        known = self._head_columns[len(PLACE_OF_HEAD) :]
        if new := [name for name in names if name not in known]:
            before = path.read_text().splitlines()[1:] if self._head_columns else []
            known += new
            self._head_columns = [*PLACE_OF_HEAD, *known]
            lines = [",".join(self._head_columns), *(line + "," * len(new) for line in before)]
            files.write_text(path, "".join(f"{line}\n" for line in lines))
        rows = [
            [str(step), *place, *(repr(one[name]) if name in one else "" for name in known)]
            for place, one in by_head.items()
        ]
        files.append_line(path, "\n".join(map(",".join, rows)))
        self._head_rows += len(rows)

    def _keep_heads(self, run: Run, count: int) -> None:
        """Keep the first rows of ``heads.csv``, those from before the checkpoint that the run goes on from."""
        path = self.path / "heads.csv"
        if not count:
            path.unlink(missing_ok=True)
            return
        header, *rows = run.read(path.name).decode(errors="replace").split("\n")
        if len(rows) <= count:  # the last line is followed by an empty one, or half written
            raise Refused(f"{path}: it lacks rows from before the checkpoint; train a new run")
        self._head_columns, self._head_rows = header.split(","), count
        files.write_text(path, "".join(f"{line}\n" for line in [header, *rows[:count]]))

    def _begin(self, rows: list[str]) -> None:
        self._write_rows(rows)
        files.write_bytes(self._reserve, os.urandom(_RESERVE))
        self.update()

    def _write_rows(self, rows: list[str]) -> None:
        files.write_text(self.path / "metrics.csv", "".join(f"{line}\n" for line in [",".join(self._columns), *rows]))

    def _count(self, content: bytes | bytearray) -> None:
        self._bytes += len(content)
        self._sha256.update(content)


def _named(columns: list[str], cells: list[str]) -> bytes:
    """Return a row as names and values, which stays the same when the file is rewritten with more columns."""
    return (",".join(f"{column}={cell}" for column, cell in zip(columns, cells, strict=False) if cell) + "\n").encode()
