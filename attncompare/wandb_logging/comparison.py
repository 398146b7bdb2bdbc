"""The W&B run of a comparison: the report page, the table and the verdicts, beside the runs that it compares."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

    ``run_id`` is the same for the same comparison, so that showing it again replaces the one run; ``entity`` is W&B's
    account, None for the one that is logged in; ``group`` is the sweep that was compared, if it is one; ``notes`` are
    sentences; ``config`` says what was compared; ``page`` is the report.
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
    """Show a comparison in W&B, sent now or in ``folder/wandb``, and return where, in words; it replaces what was there.

    Raises Refused if it should be sent and there is no login; RunFailed if W&B does not take it."""
    if online:
        require_login("compare --wandb of runs that were logged online", "show it later, once you are logged in")
    init: dict[str, Any] = {"id": shown.run_id, "job_type": JOB_TYPE, "tags": [JOB_TYPE], "config": dict(shown.config)}
    init |= {name: getattr(shown, name) for name in ("project", "entity", "group", "name", "notes")}
    logger = GuardedWandbLogger(folder, "online" if online else "offline", {}, **init)
    state = "interrupted"
    try:
        tables = {name: table(one.columns, one.rows) for name, one in shown.tables.items()}
        logger.log({"report": html(shown.page), **tables})
        state = "finished"
    finally:
        logger.finish(state, shown.summary)
    if logger.problem:
        raise RunFailed(f"the comparison is not in W&B: {logger.problem}")
    if online:
        return str(logger.url)
    (kept,) = (Path(folder) / "wandb").glob(f"offline-run-*-{shown.run_id}")
    return f"written for later; send it with: wandb sync {shlex.quote(os.path.relpath(kept))}"
