"""Runs of a sweep on other machines, through Hydra's launchers for SLURM and Ray.

They train what a sweep on this machine trains, into the same folder, so the machines share a file system. Each process
composes its run's config again and goes on with its record where there is one: also when a cluster starts it twice.
"""

import contextlib
import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from rich.console import Console

from attncompare.config import parse_composed
from attncompare.errors import AttnCompareError
from attncompare.sweep.again import members
from attncompare.sweep.devices import cores_here
from attncompare.sweep.folder import Sweep
from attncompare.sweep.job import Job, labels
from attncompare.sweep.worker import Place, train_member
from attncompare.record import mark_lost
from attncompare.wandb_logging.wandb_file import first_line


@dataclass(frozen=True)
class Member:
    """What a launcher calls in a process of its own, with the config of one run."""

    place: Place

    def __call__(self, composed: DictConfig) -> str:
        """Train the run and return its folder."""
        config = parse_composed(composed)
        # Unresolved: an override may hold an interpolation.
        overrides: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        begun = members(self.place.folder).runs.get(config.hash())
        job = Job(config, tuple(overrides), None if begun is None else begun.path)
        return str(train_member(job, self.place).path)


def train_elsewhere(
    sweep: Sweep,
    jobs: Sequence[Job],
    console: Console,
    *,
    config: DictConfig,
    launcher_of: Callable[[DictConfig, Any], Any],
) -> None:
    """Hand ``jobs`` to the launcher that ``config`` asks for and wait for them; what went wrong is told.

    Args:
        sweep: the sweep.
        jobs: its runs that are left.
        console: where to tell.
        config: Hydra's own config of the sweep.
        launcher_of: makes a Hydra launcher from such a config and from what it shall call.
    """
    name = config.hydra.runtime.choices["hydra/launcher"]
    # Other machines are asked for cores; here all runs begin at once.
    processes = len(jobs) * max(job.config.trainer.devices for job in jobs)
    threads = max(1, cores_here() // processes) if name == "submitit_local" else None
    place = Place(sweep.path.absolute(), sweep.group, threads)
    _tell(console, f"{len(jobs)} runs through {name}, in {sweep.path}")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray would tell its makers
    for job in jobs:
        sweep.unmark(job)
    launcher = launcher_of(_with_folder(config, place.folder), Member(place))
    try:
        results = launcher.launch([list(job.overrides) for job in jobs], 0)
    except KeyboardInterrupt:
        _tell(console, f"what {name} was given already may go on by itself; `attncompare sweeps` shows it")
        raise
    except Exception as error:  # its own, or of a process that was killed; the records say what became of the runs
        _tell(console, f"hydra/launcher={name} gave up: {error}")
        _close_lost(sweep, [(job, error) for job in jobs])
        return
    failed: list[tuple[Job, Exception]] = []
    for job, label, result in zip(jobs, labels(jobs), results, strict=True):
        try:
            _ = result.return_value
        except Exception as error:  # whatever ended that run
            _tell(console, f"{label}: {error}" if isinstance(error, AttnCompareError) else f"{label}: {error!r}")
            failed.append((job, error))
    for job, why in _close_lost(sweep, failed):
        sweep.mark_failed(job, first_line(why))


def _close_lost(sweep: Sweep, failed: list[tuple[Job, Exception]]) -> list[tuple[Job, Exception]]:
    """Close the records of runs whose process is gone without having done it, and return those without a record."""
    runs = members(sweep.path).runs
    for job, error in failed:
        run = runs.get(job.config.hash())
        if run is not None and run.state == "running" and not run.alive():
            with contextlib.suppress(AttnCompareError, OSError):  # the others are closed, too
                mark_lost(run.path, f"its process ended without closing the record ({first_line(error)})")
    return [(job, error) for job, error in failed if job.config.hash() not in runs]


def _tell(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _with_folder(config: DictConfig, folder: Path) -> DictConfig:
    """Return Hydra's config of the sweep with all that a launcher writes in the sweep's folder, and one run a process."""
    config = copy.deepcopy(config)
    with read_write(config), open_dict(config):
        config.hydra.sweep.dir, config.hydra.sweep.subdir = str(folder), "."
        launcher = config.hydra.launcher
        if "submitit_folder" in launcher:
            launcher.submitit_folder = str(folder / "submitit" / "%j")
        if "ray" in launcher:  # its processes serve several tasks otherwise, and W&B wants one for each run
            launcher.ray.remote.max_calls = 1
    return config
