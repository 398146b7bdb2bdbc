"""Which runs of a sweep have finished, which were begun, and which are still to begin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attncompare.errors import Refused
from attncompare.sweep.job import Job
from attncompare.record import RUN_MARKS, Run


@dataclass(frozen=True)
class Members:
    """The runs in a sweep's folder: ``runs`` by the hash of their config; of ``damaged`` ones, what is wrong in words."""

    runs: dict[str, Run]
    damaged: list[str]


@dataclass(frozen=True)
class Plan:
    """What a sweep still has to train; ``skipped`` runs are finished already, ``damaged`` ones begin anew."""

    jobs: list[Job]
    skipped: int
    damaged: list[str]

    @property
    def resumed(self) -> int:
        """Return how many runs were begun, and go on where they stand."""
        return sum(job.begun is not None for job in self.jobs)


def members(folder: Path) -> Members:
    """Read every run in the folder of a sweep. Where two have the same config, one that has finished counts."""
    runs: dict[str, Run] = {}
    damaged: list[str] = []
    for path in sorted(folder.iterdir()):
        if not any((path / part).exists() for part in RUN_MARKS):
            continue
        try:
            run = Run.open(path)
            known = runs.setdefault(run.config.hash(), run)
        except Refused as error:
            damaged.append(str(error))
            continue
        if known is not run and known.state != "finished":
            runs[run.config.hash()] = run
    return Members(runs, damaged)


def plan(folder: Path, jobs: Sequence[Job]) -> Plan:
    """Compare what the folder of a sweep holds with what was asked for.

    Raises:
        Refused: if one of its runs is being trained right now.
    """
    found = members(folder)
    left: list[Job] = []
    for job in jobs:
        run = found.runs.get(job.config.hash())
        if run is not None and run.state == "finished":
            continue
        if run is not None and run.alive():
            raise Refused(f"{run.path}: another process is training this run of the sweep; wait until it has ended")
        left.append(job if run is None else replace(job, begun=run.path))
    return Plan(left, len(jobs) - len(left), found.damaged)
