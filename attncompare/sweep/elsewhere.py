"""Runs of a sweep on other machines, through Hydra's launchers for SLURM and Ray.

They train what a sweep on this machine trains, into the same folder, so the machines share a file system. Each process
goes on with its run's record where there is one: also when a cluster starts it twice.
"""

import contextlib
import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from rich.console import Console

from attncompare.errors import AttnCompareError
from attncompare.record import mark_lost
from attncompare.sweep.folder import Job, Members, Sweep, labels, tell
from attncompare.sweep.pool import Place, cores_here, train_member


@dataclass(frozen=True)
class Member:
    """What a launcher calls in a process of its own, for one of ``jobs``."""

    place: Place
    jobs: tuple[Job, ...]

    def __call__(self, _: DictConfig) -> str:
        """Train the run whose overrides Hydra has, and return its folder.

        What Hydra composes of them here does not count: files may have changed while the run waited for a machine.
        """
        # Unresolved: an override may hold an interpolation.
        overrides: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        (job,) = (job for job in self.jobs if job.overrides == tuple(overrides))
        begun = Members.read(self.place.folder).runs.get(job.config.hash())
        return str(train_member(replace(job, begun=None if begun is None else begun.path), self.place).path)


def train_elsewhere(
    sweep: Sweep,
    jobs: Sequence[Job],
    console: Console,
    *,
    config: DictConfig,
    launcher_of: Callable[[DictConfig, Any], Any],
) -> None:
    """Hand ``jobs`` to the launcher that ``config``, Hydra's own of the sweep, asks for; wait, and tell what failed.

    ``launcher_of`` makes a Hydra launcher from such a config and from what it shall call.
    """
    name = config.hydra.runtime.choices["hydra/launcher"]
    # Other machines are asked for cores; here all runs begin at once.
    processes = len(jobs) * max(job.config.trainer.devices for job in jobs)
    threads = max(1, cores_here() // processes) if name == "submitit_local" else None
    place = Place(sweep.path.absolute(), sweep.group, threads, made=sweep.file.made_with)
    tell(console, f"{len(jobs)} runs through {name}, in {sweep.path}")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray would send statistics to its makers
    launcher = launcher_of(_with_folder(config, place.folder), Member(place, tuple(jobs)))
    try:
        results = launcher.launch([list(job.overrides) for job in jobs], 0)
    except KeyboardInterrupt:
        tell(console, f"what {name} was given already may go on by itself; `attncompare sweeps` shows it")
        raise
    except Exception as error:  # its own, or of a process that was killed; the records say what became of the runs
        tell(console, f"hydra/launcher={name} gave up: {error}")
        for job in jobs:
            _close_lost(sweep, job, error)
        return
    for job, label, result in zip(jobs, labels(jobs), results, strict=True):
        try:
            _ = result.return_value
        except Exception as error:  # whatever ended that run
            tell(console, f"{label}: {error if isinstance(error, AttnCompareError) else repr(error)}")
            if not _close_lost(sweep, job, error):
                sweep.output_of(job.config.hash()).write_text(f"{_first_line(error)}\n")


def _close_lost(sweep: Sweep, job: Job, error: Exception) -> bool:
    """Close the record of a run whose process is gone without having done it; return whether there is a record."""
    run = Members.read(sweep.path).runs.get(job.config.hash())
    if run is not None and run.state == "running" and not run.alive():
        with contextlib.suppress(AttnCompareError, OSError):  # the other records are closed, too
            mark_lost(run.path, f"its process ended without closing the record ({_first_line(error)})")
    return run is not None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


def _with_folder(config: DictConfig, folder: Path) -> DictConfig:
    config = copy.deepcopy(config)
    with read_write(config), open_dict(config):
        config.hydra.sweep.dir, config.hydra.sweep.subdir = str(folder), "."
        launcher = config.hydra.launcher
        if "submitit_folder" in launcher:
            launcher.submitit_folder = str(folder / "submitit" / "%j")
        if "ray" in launcher:  # its processes serve several tasks otherwise, and W&B wants one for each run
            launcher.ray.remote.max_calls = 1
    return config
