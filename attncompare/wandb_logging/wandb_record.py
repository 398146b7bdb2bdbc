"""A run as Weights & Biases recorded it: numbers and names alone, from an offline file or from W&B's answers.

W&B holds neither predictions nor weights nor maps in a form to compare; the hash of the weights, the fingerprint of the
data and the thread count are in the summary of newer runs.
"""

import contextlib
import math
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attncompare.errors import Refused
from attncompare.record import MEBIBYTE, read_inside
from attncompare.record import STATES, State
from attncompare.wandb_logging.wandb_file import records

REQUIREMENTS = "requirements.txt"
# W&B writes numbers that JSON lacks as texts.
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class WandbRecord:
    """What W&B holds of one run of attncompare.

    Attributes:
        source: where it was found, for people: a file, or a W&B path.
        run_id: W&B's name for the run, "" where it is not known.
        group: the sweep that it belongs to, if any.
        values: its config as plain nested dicts, as recorded.
        rows: ``train/*`` and ``val/*`` by logged step, in order.
        summary: what W&B shows as the run's final figures, as W&B wrote it.
        environment: some of what ``environment.json`` holds.
    """

    source: str
    run_id: str
    group: str | None
    values: dict[str, Any]
    rows: list[dict[str, float]]
    summary: dict[str, Any]
    environment: dict[str, Any]

    @property
    def state(self) -> State:
        """Return how the run ended; without a word of that, it is running."""
        state = self.summary.get("state")
        return state if state in STATES else "running"

    def figures(self, part: str) -> dict[str, float]:
        """Return the final figures of ``test`` or ``cost`` by their bare names."""
        found = {key: number(value) for key, value in self.summary.items() if key.startswith(f"{part}/")}
        return {key.removeprefix(f"{part}/"): value for key, value in found.items() if isinstance(value, int | float)}


def wandb_file(path: Path) -> Path:
    """Return the one ``.wandb`` file that ``path`` is, or that the folder ``path`` of an offline run holds.

    Raises:
        Refused: if the folder holds several, or a link or a pipe in its place: it may come from a stranger.
    """
    if path.is_file():
        return path
    found = sorted(path.glob("*.wandb"))
    if len(found) != 1:
        raise Refused(f"{path}: {len(found)} .wandb files; give one of them")
    if not stat.S_ISREG(found[0].lstat().st_mode):
        raise Refused(f"{found[0]}: no plain file")
    return found[0]


def read_offline(file: Path) -> WandbRecord:
    """Return what the ``.wandb`` file of an offline run holds.

    Raises:
        Refused: if it is damaged, or is no run of attncompare.
    """
    start: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    history = []
    ended = False
    for kind, content in records(file):
        ended = ended or kind == "exit"
        if kind == "run":
            start = content
        elif kind == "history":
            history.append(content.get("item", {}))
        elif kind == "summary":
            summary.update(content.get("update", {}))
        elif kind == "environment":
            environment.update(machine(content))
    if "state" in summary and not ended:  # written one after the other
        raise Refused(f"{file}: damaged (its last records are missing)")
    with contextlib.suppress(Refused):  # older versions of W&B write no such file
        environment["packages"] = packages(read_inside(file.parent, f"files/{REQUIREMENTS}", MEBIBYTE))
    config = start.get("config")
    values = config.get("update") if isinstance(config, dict) else None
    run_id, group = _text(start.get("run_id")) or "", _text(start.get("run_group"))
    return wandb_record(str(file), values, summary, history, environment, run_id=run_id, group=group)


def wandb_record(
    source: str,
    config: Any,
    summary: dict[str, Any],
    history: Sequence[Any],
    environment: dict[str, Any],
    *,
    run_id: str = "",
    group: str | None = None,
) -> WandbRecord:
    """Return what W&B told of a run, checked for being one of attncompare.

    Raises:
        Refused: if it is none.
    """
    values = {key: value for key, value in config.items() if key != "_wandb"} if isinstance(config, dict) else {}
    if not {"task", "attention", "trainer"} <= values.keys():
        raise Refused(f"{source}: not a run of attncompare (its config has no task, attention and trainer)")
    rows = [row for row in map(_row, history) if row]
    return WandbRecord(source, run_id, group, values, rows, summary, environment)


def number(value: Any) -> Any:
    """Return a number where W&B wrote one as a text, and NaN where its summary has nothing."""
    if value is None:
        return math.nan
    return _NUMBERS.get(value, value) if isinstance(value, str) else value


def machine(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what W&B noted of the machine, in the words of ``environment.json``."""
    python, cpu = facts.get("python"), facts.get("cpu")
    found: dict[str, Any] = {"python": python.split()[-1]} if isinstance(python, str) and python.split() else {}
    if isinstance(cpu, dict) and isinstance(cpu.get("model"), str):
        found["cpu"] = cpu["model"]
    return found


def packages(requirements: bytes) -> dict[str, str]:
    """Return the version of each package in W&B's ``requirements.txt``."""
    lines = requirements.decode(errors="replace").splitlines()
    pairs = (line.partition("==") for line in lines if "==" in line)
    return {name.strip(): version.strip() for name, _, version in pairs}


def _row(item: Any) -> dict[str, float] | None:
    """Return a row of metrics, or None where something else was logged, such as pictures."""
    step = number(item.get("step", "")) if isinstance(item, dict) else ""
    if not isinstance(step, int | float) or not math.isfinite(step) or step != int(step):
        return None
    metrics = {key: value for key, value in item.items() if key.startswith(("train/", "val/")) and value is not None}
    values = {key: number(value) for key, value in metrics.items()}
    known = {key: value for key, value in values.items() if isinstance(value, int | float)}
    return {"step": int(step), **known} if known else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
