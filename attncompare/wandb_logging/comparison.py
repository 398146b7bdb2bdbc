"""The W&B run of a comparison: the report page, the table and the verdicts, beside the runs that it compares."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from attncompare.errors import RunFailed
from attncompare.wandb_logging.logger import GuardedWandbLogger, html, require_login, table

JOB_TYPE = "comparison"
COMPARISON_ID = "comparison-"
"""How W&B's names of comparisons begin, which stand beside the runs that they compare."""


@dataclass(frozen=True)
class Table:
    """A table as W&B shows it; a cell is a text, a number, a truth value or None."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class ShownComparison:
    """What the run of a comparison holds.

    Attributes:
        run_id: the same for the same comparison, so that showing it again replaces the one run.
        project: W&B's project.
        entity: W&B's account, None for the one that is logged in.
        group: the sweep that was compared, if it is one.
        name: for people.
        notes: for people, in sentences.
        config: what was compared.
        summary: figures.
        page: the report.
        tables: by name.
    """

    run_id: str
    project: str
    entity: str | None
    group: str | None
    name: str
    notes: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    page: str
    tables: Mapping[str, Table]


def show_comparison(folder: Path, shown: ShownComparison, *, online: bool) -> str:
    """Show a comparison in W&B and return where, in words; what W&B has of it already is replaced.

    Args:
        folder: W&B keeps its own files in ``wandb/`` there.
        shown: the comparison.
        online: whether to send it to W&B's server now.

    Raises:
        Refused: if it should be sent and there is no login.
        RunFailed: if W&B does not take it.
    """
    if online:
        require_login("compare --wandb of runs that were logged online", "show it later, once you are logged in")
    logger = GuardedWandbLogger(
        folder,
        "online" if online else "offline",
        {},
        beside=True,
        project=shown.project,
        entity=shown.entity,
        group=shown.group,
        job_type=JOB_TYPE,
        id=shown.run_id,
        name=shown.name,
        notes=shown.notes,
        tags=[JOB_TYPE],
        config=dict(shown.config),
    )
    try:
        tables = {name: partial(table, one.columns, one.rows) for name, one in shown.tables.items()}
        logger.log({"report": partial(html, shown.page), **tables})
    except BaseException:
        logger.finish("interrupted", {})
        raise
    logger.finish("finished", shown.summary)
    if logger.problem:
        raise RunFailed(f"the comparison is not in W&B: {logger.problem}")
    if online:
        return str(logger.url)
    (kept,) = (Path(folder) / "wandb").glob(f"offline-run-*-{shown.run_id}")
    return f"written for later; send it with: wandb sync {shlex.quote(os.path.relpath(kept))}"
