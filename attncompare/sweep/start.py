"""``attncompare train -m``: a sweep from its jobs to its folder, on this machine or elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from attncompare.errors import Refused, RunFailed
from attncompare.sweep.folder import Job, Members, Sweep, check_jobs, labels, opened
from attncompare.text import counted

Launch = Callable[[Sweep, Sequence[Job], Console], None]


def start(jobs: Sequence[Job], command: str, launch: Launch, *, fresh: bool) -> Path:
    """Train what is not finished of ``jobs`` and return the sweep's folder, which holds the folder of each run.

    Args:
        jobs: all runs of the sweep.
        command: what starts it, for people.
        launch: trains those that are left; how each ended stands in its record.
        fresh: train all of them, in a new folder, whatever is finished already.

    Raises:
        Refused: if a run cannot be trained or the sweep is being trained already; nothing was started.
        RunFailed: after all have ended, if any did not finish.
        KeyboardInterrupt: after all running ones closed their records.
    """
    check_jobs(jobs)
    console, total = Console(stderr=True), counted(len(jobs), "run")
    with opened(jobs, command, fresh) as (sweep, notes):
        found = Members.read(sweep.path)
        left = []
        for job in jobs:
            run = found.runs.get(job.config.hash())
            if run is None:
                left.append(job)
            elif run.state != "finished":
                if run.alive():
                    raise Refused(
                        f"{run.path}: another process is training this run of the sweep; wait until it has ended"
                    )
                left.append(replace(job, begun=run.path))
        notes += [f"left aside, and trained anew: {problem}" for problem in found.damaged]
        if done := len(jobs) - len(left):
            which = f"{done} of {total}" if left else f"all {total}"
            notes.append(f"{which} finished already in {sweep.path} and skipped; --fresh trains all of them anew")
        if begun := sum(job.begun is not None for job in left):
            notes.append(f"{counted(begun, 'run')} that did not finish: resumed where they stand")
        for line in notes:
            tell(console, line)
        try:
            if left:
                launch(sweep, left, console)
        except KeyboardInterrupt:
            done = len(jobs) - len(_unfinished(sweep, jobs))
            tell(console, f"{done} of {total} finished; the same command goes on with the rest")
            raise
        unfinished = _unfinished(sweep, jobs)
    if unfinished:
        raise RunFailed(f"{len(unfinished)} of {total} did not finish: {'; '.join(unfinished)}")
    return sweep.path


def tell(console: Console, text: str) -> None:
    """Print ``text`` as it is, without markup, and without breaking its lines."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _unfinished(sweep: Sweep, jobs: Sequence[Job]) -> list[str]:
    runs = Members.read(sweep.path).runs
    finished = {config for config, run in runs.items() if run.state == "finished"}
    return [label for job, label in zip(jobs, labels(jobs), strict=True) if job.config.hash() not in finished]
