"""``attncompare compare``: from folders of runs to a table in the terminal and a page."""

import os
from pathlib import Path

from rich.console import Console

from attncompare.compare.groups import compare_groups
from attncompare.compare.report import write_report
from attncompare.compare.table import print_table, result_table
from attncompare.tracking.record import Run, find_runs


def compare(paths: list[Path], html: Path | None, force: bool) -> None:
    """Print one table for each task among the runs in ``paths``, and write the page.

    Args:
        paths: folders of runs, or folders that hold runs, such as a sweep's.
        html: where the page goes; None: ``report.html`` in the innermost folder that holds all these runs.
        force: compare runs that differ in more than attention and seed.

    Raises:
        Refused: if a path holds no run, a run has not finished, or runs are not on equal footing.
    """
    runs = find_runs(paths)
    comparisons = compare_groups(runs, force)
    page = html or default_page(runs)
    write_report(comparisons, page)
    console = Console()
    for comparison in comparisons:
        console.print()
        print_table(console, result_table(comparison))
    console.print()
    console.print("Page:", str(page), highlight=False, markup=False, soft_wrap=True)


def default_page(runs: list[Run]) -> Path:
    """Return ``report.html`` in the innermost folder that holds all ``runs``: a sweep's, or the day's, or ``runs/``."""
    common = Path(os.path.commonpath([run.path.resolve().parent for run in runs]))
    relative = os.path.relpath(common)
    return (common if relative.startswith("..") else Path(relative)) / "report.html"
