"""A run whose record is gone, read from what W&B kept offline: its config, its curves and its final figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from attncompare.config import RunConfig, parse
from attncompare.errors import Refused
from attncompare.maps.maps import ProbeMaps
from attncompare.record import Run, is_run
from attncompare.wandb_logging.wandb_record import WandbRecord, read_offline, wandb_file

ABSENT = "maps, predictions and losses by sentence"
"""What W&B's offline files do not hold in a form to compare."""
COMPARISON_ID = "comparison-"
"""How W&B's names of comparisons begin, which stand beside the runs that they compare."""


@dataclass(frozen=True)
class OfflineRun(Run):
    """Stands where a :class:`Run` stands, with the figures that W&B kept and without all else (:data:`ABSENT`)."""

    kept: WandbRecord

    @classmethod
    def open(cls, path: str | Path) -> "OfflineRun":
        """Read the run in W&B's offline folder ``path``, or in its ``.wandb`` file.

        Raises:
            Refused: if W&B's own tool cannot read it, or it is no run of attncompare.
        """
        path = Path(path)
        kept = read_offline(wandb_file(path))
        return cls(path, _summary(kept), kept)

    def alive(self) -> bool:
        """Return whether it is being trained: nobody can tell from here."""
        return False

    @cached_property
    def config(self) -> RunConfig:
        """Return what was trained."""
        try:
            return parse(self.kept.values)
        except Refused as error:
            raise Refused(f"{self.path}: its config is not one of this version: {error}") from None

    def read(self, name: str, limit: int = 0) -> bytes:
        """Refuse: there are no files of a record."""
        raise Refused(f"{self.path}: an offline run of W&B holds no {name} (at most {limit} bytes were asked for)")

    def metrics(self) -> list[dict[str, float]]:
        """Return the rows that W&B was shown, by training step."""
        return self.kept.rows

    def environment(self) -> dict[str, Any]:
        """Return what W&B noted of the machine and of the packages."""
        return self.kept.environment

    def predictions(self) -> list[dict[str, Any]]:
        """Return none: W&B keeps the first rows only."""
        return []

    def losses(self) -> list[dict[str, Any]]:
        """Return none."""
        return []

    def map_files(self) -> list[Path]:
        """Return none."""
        return []

    def maps(self) -> list[tuple[int, list[ProbeMaps]]]:
        """Return none: W&B keeps pictures of them."""
        return []

    def require_finished(self) -> "OfflineRun":
        """Return the run itself, or refuse with its state."""
        if self.state != "finished":
            raise Refused(f"{self.path}: the run {self.standing()}")
        if not self.summary["test"]:
            raise Refused(f"{self.path}: W&B kept no test figures of it; give the folder of its record instead")
        return self

    def standing(self) -> str:
        """Return in words where an unfinished run stands."""
        return "has not ended, as far as W&B knows" if self.state == "running" else f"is {self.state}, not finished"


def offline_files(path: Path) -> list[Path]:
    """Return the offline runs of W&B that ``path`` names: itself, or those below where no record of a run is left.

    Empty where ``path`` is a record, holds one, or holds no offline run.
    """
    if path.is_file():
        return [path] if path.suffix == ".wandb" else []
    if is_run(path) or not path.is_dir():
        return []
    if any(path.glob("*.wandb")):
        return [path]
    if any(path.rglob("summary.json")):
        return []
    return sorted({file.parent for file in path.rglob("*.wandb") if not file.name.startswith(f"run-{COMPARISON_ID}")})


def open_any(path: Path) -> Run:
    """Return the run at ``path``: a record, or what :func:`offline_files` finds there.

    Raises:
        Refused: if it cannot be read.
    """
    return OfflineRun.open(path) if offline_files(path) == [path] else Run.open(path)


def absent_notes(runs: Sequence[Run]) -> list[str]:
    """Return what must be said of those among ``runs`` that come from W&B's offline files."""
    count = sum(isinstance(run, OfflineRun) for run in runs)
    if not count:
        return []
    subject = "a run was" if count == 1 else f"{count} runs were"
    return [f"{subject} read from W&B's offline files, which hold no {ABSENT}"]


def _summary(kept: WandbRecord) -> dict[str, Any]:
    """Return as much of ``summary.json`` as W&B knows."""
    known, validated = kept.summary, [row for row in kept.rows if "val/loss" in row]
    best = min(validated, key=lambda row: math.inf if math.isnan(row["val/loss"]) else row["val/loss"], default=None)
    last = validated[-1] if validated else {}
    values = kept.values
    return {
        "state": kept.state,
        "task": values["task"].get("name") if isinstance(values["task"], dict) else None,
        "label": values["attention"].get("name") if isinstance(values["attention"], dict) else None,
        "message": known.get("message"),
        "group": kept.group,
        "wandb": {"id": kept.run_id, "missing": None},
        "data": {"fingerprint": known.get("data_fingerprint")},
        "best_step": best["step"] if best else None,
        "steps": kept.rows[-1]["step"] if kept.rows else 0,
        "val": {key.removeprefix("val/"): value for key, value in last.items() if key.startswith("val/")},
        "test": kept.figures("test"),
        "signatures": _signatures(known),
        "cost": kept.figures("cost"),
        "weights_sha256": known.get("weights_sha256"),
    }


def _signatures(summary: dict[str, Any]) -> dict[str, str]:
    """Return how each score was computed, where W&B's summary says so."""
    found = {key: value for key, value in summary.items() if key.startswith("signature/") and isinstance(value, str)}
    return {key.removeprefix("signature/"): value for key, value in found.items()}
