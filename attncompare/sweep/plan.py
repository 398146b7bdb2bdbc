"""``train -m --dry-run``: what a sweep would train, what that takes, and what its seeds can decide; nothing is started."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

from rich.console import Console
from rich.table import Table

from attncompare.compare.identity import model_without_seed
from attncompare.compare.looks import looks_before, trained_in
from attncompare.compare.statistics import level_after
from attncompare.compare.statistics.seeds import smallest_sign_flip_p
from attncompare.record import Run, made_with
from attncompare.sweep.folder import Job, Members, check_jobs, labels, tell, there_already
from attncompare.sweep.reuse import runs_of
from attncompare.text import byte_size, counted

_VARY = ("seed", "order_seed")


def print_plan(jobs: Sequence[Job], fresh: bool, at_a_time: Callable[[Sequence[Job]], int] | None) -> None:
    """Print the runs of ``jobs``, which of them are there already, what the others take, and what the seeds can decide.

    ``at_a_time`` says how many of the others are trained at the same time; None: nobody knows.
    Raises Refused as :func:`attncompare.sweep.folder.start` does before anything begins."""
    check_jobs(jobs)
    runs, console = Path(jobs[0].config.runs), Console()
    sweep, there, notes = there_already(runs, jobs, made_with(job.config for job in jobs), fresh)
    found = (Members.read(sweep.path).runs if sweep else {}) | there
    left = []
    table = Table("run", "state", box=None, pad_edge=False)
    for job, label in zip(jobs, labels(jobs), strict=True):
        run = found.get(job.config.hash())
        if run is None or run.state != "finished":
            left.append(job)
        state = "to train" if run is None else "there already" if run.state == "finished" else "to resume"
        table.add_row(label, state)
    console.print(table, highlight=False)
    folders = sorted({str(run.path.parent) for run in found.values() if run.state == "finished"})
    where = f" (in {', '.join(folders)})" if folders else ""
    there_are = f"{counted(len(jobs), 'run')}: {len(jobs) - len(left)} there already{where}, {len(left)} to train"
    for line in [*notes, there_are, *_costs(runs, left, at_a_time), _decides(jobs, list(found.values()))]:
        tell(console, line)


def _costs(runs: Path, jobs: Sequence[Job], at_a_time: Callable[[Sequence[Job]], int] | None) -> list[str]:
    """Return the time and the disk that ``jobs`` take, as those in the folder ``runs`` took that differ in the seed alone."""
    if not jobs:
        return []
    configs, workers = [job.config for job in jobs], at_a_time(jobs) if at_a_time else 1
    known: dict[str, list[tuple[float, int]]] = {}
    for run in runs_of(runs, configs):
        if run.state == "finished" and not run.dropped:
            size = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
            known.setdefault(model_without_seed(run.config, _VARY), []).append((run.summary["wall_seconds"], size))
    kinds = [known.get(model_without_seed(config, _VARY)) for config in configs]
    found = [(mean(second for second, _ in kind), mean(size for _, size in kind)) for kind in kinds if kind]
    unknown = len(kinds) - len(found)
    if not found:
        return ["time and disk: unknown, as no run of this kind has finished in this folder"]
    beyond = f", and {counted(unknown, 'run')} of a kind that is unknown" if unknown else ""
    seconds, size = (sum(values) for values in zip(*found, strict=True))
    time = _duration(max(seconds / workers, *(second for second, _ in found)))
    return [f"time: {time}, {workers} at a time{beyond}", f"disk: {byte_size(size)}{beyond}"]


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _decides(jobs: Sequence[Job], there: Sequence[Run]) -> str:
    """Return the smallest p that the seeds can reach which all variants have in common, beside the level that decides.

    The level is that of the next look, after those at the runs that are ``there``.
    """
    configs, seeds = [job.config for job in jobs], dict[str, set[int]]()
    for config in configs:
        seeds.setdefault(model_without_seed(config, _VARY), set()).add(config.seed)
    if len(seeds) == 1:
        return "seeds: there is one variant, and nothing to compare it with"
    common = sorted(set.intersection(*seeds.values()))
    if not common:
        return "seeds: the variants have none in common"
    folders, tasks = trained_in(there), {config.task.name for config in configs}
    spent = max(([look.spent for look in looks_before(folders, task, common)] for task in tasks), key=sum)
    p, level = smallest_sign_flip_p(len(common)), level_after(spent)
    can, after = "can" if p <= level else "cannot", f" after {counted(len(spent), 'look')}" if spent else ""
    return f"seeds: with {counted(len(common), 'seed')} the smallest p is {p:.2g}, so they {can} decide (at {level:.2g}{after})"
