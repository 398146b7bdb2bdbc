"""``attncompare train -m``: a sweep from its jobs to its folder, on this machine or elsewhere."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from attncompare.errors import RunFailed
from attncompare.text import counted
from attncompare.sweep.again import Plan, members, plan
from attncompare.sweep.folder import Sweep, opened
from attncompare.sweep.job import Job, check_jobs, labels

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
    console = Console(stderr=True)
    with opened(jobs, command, fresh) as (sweep, notes):
        todo = plan(sweep.path, jobs)
        for line in [*notes, *_said(todo, len(jobs), sweep.path)]:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        try:
            if todo.jobs:
                launch(sweep, todo.jobs, console)
        except KeyboardInterrupt:
            done = len(jobs) - len(_unfinished(sweep, jobs))
            line = f"{done} of {counted(len(jobs), 'run')} finished; the same command goes on with the others"
            console.print(line, highlight=False, soft_wrap=True)
            raise
        lost = _unfinished(sweep, todo.jobs)
    if lost:
        raise RunFailed(f"{len(lost)} of {counted(len(jobs), 'run')} did not finish: {'; '.join(lost)}")
    return sweep.path


def _said(todo: Plan, total: int, folder: Path) -> list[str]:
    lines = [f"left aside, and trained anew: {problem}" for problem in todo.damaged]
    if todo.skipped:
        share = "all" if todo.skipped == total else f"{todo.skipped} of"
        what = f"{share} {counted(total, 'run')}"
        lines.append(f"{what} finished already in {folder} and skipped; --fresh trains all of them anew")
    if todo.resumed:
        lines.append(f"{counted(todo.resumed, 'run')} that did not finish: going on where they stand")
    return lines


def _unfinished(sweep: Sweep, jobs: Sequence[Job]) -> list[str]:
    runs = members(sweep.path).runs
    finished = {config for config, run in runs.items() if run.state == "finished"}
    return [label for job, label in zip(jobs, labels(jobs), strict=True) if job.config.hash() not in finished]
