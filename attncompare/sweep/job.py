"""One run of a sweep, as it was asked for."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attncompare.config import RunConfig
from attncompare.data.files import checked_files
from attncompare.errors import Refused


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        config: what is trained.
        overrides: what the user asked for, as Hydra overrides.
        begun: the folder of its unfinished record, if there is one to go on with.
    """

    config: RunConfig
    overrides: tuple[str, ...]
    begun: Path | None = None

    @property
    def label(self) -> str:
        """Return a short name for the console."""
        config = self.config
        return f"{config.task.name} {config.attention.name} h{config.attention.heads} seed {config.seed}"


def labels(jobs: Sequence[Job]) -> list[str]:
    """Return a label for each job; those that would look alike show their overrides too."""
    count = Counter(job.label for job in jobs)
    return [job.label if count[job.label] == 1 else f"{job.label} ({' '.join(job.overrides)})" for job in jobs]


def check_jobs(jobs: Sequence[Job]) -> None:
    """Refuse what would fail every run, or could not be told apart, before anything is started.

    Raises:
        Refused: names the run, or the file of data, or says that W&B knows no account.
    """
    if "WANDB_SWEEP_ID" in os.environ:
        raise Refused("W&B's agent trains one run at a time, as W&B's sweep says; leave out -m")
    first: dict[str, Job] = {}
    for job in jobs:
        if job.config.runs != jobs[0].config.runs:
            raise Refused(f"runs={jobs[0].config.runs},{job.config.runs}: the runs of a sweep stand in one folder")
        if job.config.resume is not None:
            raise Refused(f"resume={job.config.resume}: a run is gone on with alone; leave out -m")
        twin = first.setdefault(job.config.hash(), job)
        if twin is not job:
            raise Refused(f"{job.label} is asked for twice; names, tags and tracking do not set two runs apart")
    for data in {job.config.data for job in jobs}:
        checked_files(data)  # one bad file would fail every run
    if any(job.config.tracking.wandb == "online" for job in jobs):
        from attncompare.wandb_logging import require_login  # W&B is slow to import

        require_login()
