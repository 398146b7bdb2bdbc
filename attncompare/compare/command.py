"""``attncompare compare``: from folders of runs to a table in the terminal, a page, data, and a run of W&B."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from rich.console import Console

from attncompare.compare.checks import Options
from attncompare.compare.data import as_data
from attncompare.compare.export import FORMATS
from attncompare.compare.gathering import gather, reference_note
from attncompare.compare.groups import Comparison, compare_groups
from attncompare.compare.looks import Look, record_look, trained_in
from attncompare.compare.page import write_report
from attncompare.compare.statistics import spent
from attncompare.compare.table import print_comparison
from attncompare.compare.verdicts import verdicts
from attncompare.errors import AttnCompareError, Refused
from attncompare.record import PAGE_MARK, SWEEP_FILE, Run, not_started, require_replaceable, write_json, write_text
from attncompare.registry import unknown
from attncompare.text import printable
from attncompare.wandb_logging.comparison import COMPARISON_ID, show_comparison
from attncompare.wandb_logging.destination import Destination

_MOST_NOTED = 20  # sentences in W&B's notes; the page has all


def compare(
    paths: Sequence[Path],
    html: Path | None = None,
    force: bool = False,
    *,
    data: Path | None = None,
    options: Options | None = None,
    wandb: bool = False,
    tables: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Print one table for each task among the runs in ``paths`` with its verdicts, and write the page.

    What a sweep was asked for and has not started, and which reference runs take no part, is said on standard error.

    Args:
        paths: folders of runs, or folders that hold runs, such as a sweep's.
        html: where the page goes; None: see :func:`default_page`.
        force: compare runs that differ in what makes it unfair, too.
        data: where all of it goes as JSON, too.
        options: how to compare.
        wandb: show the page and the verdicts in W&B, too; where that fails, it is said, and all else is there.
        tables: where the table goes, by the names in :data:`attncompare.compare.export.FORMATS`.

    Raises:
        Refused: if a path holds no run, a run given by its path has not finished or is damaged, none is left, runs are
            not on equal footing, an option does not fit them, or a file cannot go where it should.
    """
    gathered = gather(paths)
    for line in [*not_started(paths), *([reference_note(gathered.reference)] if gathered.reference else [])]:
        print(f"note: {printable(line)}", file=sys.stderr)
    page = html or default_page(gathered.runs, options or Options(), paths)
    require_replaceable(page, f"--html {page}", PAGE_MARK)
    if data is not None:
        require_replaceable(data, f"--json {data}")
    for name, file in tables.items():
        require_replaceable(file, f"--{name} {file}")
    comparisons = compare_groups(gathered.runs, force, left_out=gathered.left_out, options=options)
    write_report(comparisons, page)
    if data is not None:
        try:
            write_json(data, as_data(comparisons))
        except OSError as error:
            raise Refused(f"--json {data}: cannot write there ({error.strerror})") from None
    for name, file in tables.items():
        try:
            write_text(file, FORMATS[name](comparisons))
        except OSError as error:
            raise Refused(f"--{name} {file}: cannot write there ({error.strerror})") from None
    console = Console()
    for comparison in comparisons:
        console.print()
        print_comparison(console, comparison)
        _remember(comparison)
    console.print()
    console.print("Page:", str(page), highlight=False, markup=False, soft_wrap=True)
    if wandb:
        try:
            console.print("W&B:", _show_in_wandb(comparisons, page), highlight=False, markup=False, soft_wrap=True)
        except AttnCompareError as error:
            print(f"W&B: {error}; the table and the page are whole", file=sys.stderr)


def compared(
    runs: Any,
    *,
    task: str | None = None,
    force: bool = False,
    tune: Sequence[str] = (),
    equal: Literal["parameters", "flops", "time"] | None = None,
    metric: str | None = None,
    vary: Sequence[str] = ("seed",),
    margins: Mapping[str, float] = MappingProxyType({}),
    baseline: str | None = None,
) -> Comparison:
    """Return the comparison of runs of one task, for Python and notebooks; it is not counted as a look at a sweep.

    Args:
        runs: one or several: runs, loaded or as records, their folders, or folders that hold runs, such as a sweep's.
        task: which one, where they are of several.
        force: compare runs that differ in what makes it unfair, too.
        tune: as the other arguments below: how to compare (:class:`Options`).
        equal: what all variants may spend alike.
        metric: the one metric to compare in.
        vary: what differs between the samples of a variant.
        margins: by metric a difference that would not matter, in the unit that people read.
        baseline: the label of the variant with which all others are compared.

    Raises:
        Refused: as from :func:`compare`, and if the runs are of several tasks and none was said.
    """
    several = runs if isinstance(runs, Sequence) and not isinstance(runs, str) else [runs]
    given: list[Any] = [getattr(one, "run", one) for one in several]  # the record of a loaded run
    gathered = gather([one.path if isinstance(one, Run) else Path(one) for one in given])
    tasks = list(dict.fromkeys(run.config.task.name for run in gathered.runs))
    if task is not None and task not in tasks:
        raise Refused(unknown("task", task, tasks))
    if task is None and len(tasks) > 1:
        raise Refused(f"the runs are of several tasks; say which with task='{tasks[0]}'; valid: {', '.join(tasks)}")
    options = Options(tuple(tune), equal, metric, tuple(vary), tuple(margins.items()), baseline)
    own = [run for run in gathered.runs if task in (None, run.config.task.name)]
    (found,) = compare_groups(own, force, left_out=gathered.left_out, options=options)
    return found


def _remember(comparison: Comparison) -> None:
    """Record the look in each sweep that trained any of the runs, where it could decide anything."""
    folders = trained_in([run for variant in comparison.variants for run in variant.runs])
    tested = [verdict.difference for verdict in verdicts(comparison) if not verdict.same_model]
    look = Look(seeds=comparison.seeds, spent=spent(tested, comparison.level))
    for folder in folders if look.spent else ():
        try:
            record_look(folder, comparison.task, look)
        except OSError as error:
            what = f"this look at {folder} is not recorded ({error.strerror})"
            print(f"note: {printable(what)}: seeds that are added later are tested as if at the first", file=sys.stderr)


def default_page(runs: Sequence[Run], options: Options, paths: Sequence[Path] = ()) -> Path:
    """Return ``report.html`` in the folder of the sweep that ``paths`` name or that trained all ``runs``.

    Else it is a file in the current folder, whose name is the same for the same runs. Other ``options`` give another name:
    ``report-metric-loss.html``."""
    sweeps = [path.resolve() for path in paths if (path / SWEEP_FILE).is_file()] if len(paths) == 1 else []
    folders = {run.path.resolve().parent for run in runs}
    for folder in sweeps or (trained_in(runs) if len(folders) == 1 else []):
        relative = os.path.relpath(folder)
        return (folder if relative.startswith("..") else Path(relative)) / f"report{options.suffix()}.html"
    names = "\n".join(sorted(str(run.path.resolve()) for run in runs))
    return Path(f"comparison-{hashlib.sha256(names.encode()).hexdigest()[:8]}{options.suffix()}.html")


def _show_in_wandb(comparisons: Sequence[Comparison], page: Path) -> str:
    """Show ``comparisons`` and their ``page`` as one run of W&B, and return where, in words.

    The run has the group of the runs compared, if they have one in common. It is sent where one of them was tracked
    online; else it stays beside the page, for ``wandb sync``. Showing the same comparison again replaces it.
    """
    runs = [run for comparison in comparisons for variant in comparison.variants for run in variant.runs]
    data = as_data(comparisons)["comparisons"]
    views = [Destination.recorded(run.config, run.summary) for run in runs]
    groups = {view.group for view in views}
    group = groups.pop() if len(groups) == 1 else None
    ids = [run.summary["wandb"]["id"] if run.summary.get("wandb") else run.config.hash()[:16] for run in runs]
    options = [one["options"] for one in data]
    identity = json.dumps([group or sorted(ids), options])
    verdicts = [verdict for one in data for verdict in one["verdicts"]]
    summary = {
        "runs": len(runs),
        "variants": sum(len(one["variants"]) for one in data),
        "left_out": sum(len(one["left_out"]) for one in data),
        "decided": sum(verdict["decided"] for verdict in verdicts),
    }
    return show_comparison(
        page,
        summary,
        online=any(view.mode == "online" for view in views),
        id=COMPARISON_ID + hashlib.sha256(identity.encode()).hexdigest()[:16],
        project=views[0].project,
        entity=views[0].entity,
        group=group,
        name=f"comparison {group}" if group else f"comparison of {len(runs)} runs",
        notes="\n".join(verdict["sentence"] for verdict in verdicts[:_MOST_NOTED]),
        config={"runs": ids, "options": options},
    )
