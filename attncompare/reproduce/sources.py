"""From what a person typed to the facts of one or many runs."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attncompare.errors import Refused
from attncompare.text import counted
from attncompare.registry import nearest
from attncompare.reproduce.facts import Facts, facts_of
from attncompare.reproduce.wandb_source import offline_facts, online_facts
from attncompare.record import read_inside, safe_yaml
from attncompare.record import Run, find_runs, is_run
from attncompare.record import not_started
from attncompare.wandb_logging.wandb_record import wandb_file

CHECKOUT = Path(__file__).parents[2]
_WANDB_PATH = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/){2}[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Found:
    """What there is to train again.

    Attributes:
        runs: those that can be.
        left_out: those of a sweep that cannot, with the reason, in words.
        sweep: whether it is a folder of runs.
        values: a config of which nothing was recorded; then there are no runs.
    """

    runs: list[Facts]
    left_out: tuple[str, ...] = ()
    sweep: bool = False
    values: dict[str, Any] | None = None


def find(record: str, unfinished: bool) -> Found:
    """Return what ``record`` names.

    In this order: a path that exists, a name under ``runs/reference/``, a run of W&B.

    Args:
        record: a run's folder, a sweep's folder, a ``config.yaml``, an offline W&B folder or its ``.wandb`` file, a
            name such as ``reference/reverse-additive``, or ``entity/project/run``.
        unfinished: take a run that has not finished too.

    Raises:
        Refused: if there is nothing of that name, or it cannot be read or trained again.
    """
    if os.path.lexists(record):
        return _at(Path(record), unfinished)
    reference = _reference(record)
    if reference:
        return _at(reference, unfinished)
    if _WANDB_PATH.fullmatch(record) and not os.path.lexists(record.partition("/")[0]):  # else it is a path with a slip
        return Found([_checked(online_facts(record), unfinished)])
    known = ", ".join(references())
    there = f"; records under runs/reference: {known}" if known else ""
    close = nearest(record.removeprefix("reference/"), references())
    hint = f" (did you mean reference/{close}?)" if close else ""
    raise Refused(
        f"{record}: no such folder{hint}{there}; valid: a run's or a sweep's folder, a config.yaml, reference/NAME, "
        "a W&B path entity/project/run, or an offline W&B folder"
    )


def references() -> list[str]:
    """Return the names of the records that come with the code."""
    folder = CHECKOUT / "runs" / "reference"
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def _reference(record: str) -> Path | None:
    parts = Path(record.removeprefix("reference/")).parts
    if not parts or parts[0] not in references() or ".." in parts:
        return None
    path = CHECKOUT.joinpath("runs", "reference", *parts)
    return path if path.is_dir() else None


def _at(path: Path, unfinished: bool) -> Found:
    if path.is_dir():
        return _in_folder(path, unfinished)
    if path.suffix == ".wandb" and path.is_file():
        return Found([_checked(offline_facts(path), unfinished)])
    if path.suffix not in (".yaml", ".yml"):
        raise Refused(f"{path}: neither a folder, nor a config (.yaml), nor an offline W&B run (.wandb)")
    if path.name == "config.yaml" and is_run(path.parent):
        return _in_folder(path.parent, unfinished)
    values = safe_yaml(read_inside(path.parent, path.name), path)
    if not isinstance(values, dict):
        raise Refused(f"{path}: no config (it holds no keys)")
    return Found([], values=values)


def _in_folder(folder: Path, unfinished: bool) -> Found:
    if is_run(folder):
        run = Run.open(folder)
        return Found([facts_of(run if unfinished else run.require_finished())])
    if any(folder.glob("*.wandb")):
        return Found([_checked(offline_facts(wandb_file(folder)), unfinished)])
    runs = find_runs([folder])
    finished = [run for run in runs if run.state == "finished"]
    left_out = tuple(f"{run.path}: the run {run.standing()}" for run in runs if run.state != "finished")
    if not finished:
        raise Refused(f"{folder}: none of its {counted(len(runs), 'run')} has finished; {left_out[0]}")
    left_out = (*left_out, *not_started([folder]))
    return Found([facts_of(run.require_finished()) for run in finished], left_out, sweep=True)


def _checked(facts: Facts, unfinished: bool) -> Facts:
    if facts.state != "finished" and not unfinished:
        cut = facts.state == "running" and facts.source.endswith(".wandb")
        why = " (the file has no end: the run still goes on, was killed, or the file was cut)" if cut else ""
        raise Refused(
            f"{facts.source}: the run is {facts.state}, not finished{why}; --steps N compares the first steps that it has"
        )
    return facts
