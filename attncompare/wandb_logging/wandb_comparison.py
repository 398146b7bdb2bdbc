"""The W&B run of a comparison: the report page, the table and the verdicts, beside the runs that it compares."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wandb

from attncompare.errors import AttnCompareError, RunFailed
from attncompare.wandb_logging.wandb_calls import OwnService, kept_rows, one_line, within
from attncompare.wandb_logging.wandb_login import require_login

JOB_TYPE = "comparison"
_INIT_SECONDS, _START_SECONDS, _CALL_SECONDS, _UPLOAD_SECONDS = 30.0, 120.0, 60.0, 300.0


@dataclass(frozen=True)
class Table:
    """A table as W&B shows it; a cell is a text, a number, a truth value or None."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class ShownComparison:
    """What the run of a comparison holds.

    Attributes:
        run_id: the same for the same comparison, so that showing it again changes the one run.
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
    """Show a comparison in W&B and return where, in words; what is there of it already is replaced.

    Args:
        folder: W&B keeps its own files in ``wandb/`` there.
        shown: the comparison.
        online: whether to send it to W&B's server now.

    Raises:
        Refused: if it should be sent and there is no login.
        RunFailed: if W&B does not take it.
    """
    if online:
        require_login("compare --wandb of runs that were tracked online", "show it later, once you are logged in")
    own = folder.absolute() / "wandb"
    try:
        own.mkdir(parents=True, exist_ok=True)
        for old in own.glob(f"*run-*-{shown.run_id}"):
            shutil.rmtree(old)
        service = OwnService(own)
        try:
            run = within(_START_SECONDS, lambda: _start(folder, shown, online))
            within(_CALL_SECONDS, lambda: _log(run, shown))
            within(_CALL_SECONDS + (_UPLOAD_SECONDS if online else 0), lambda: _finish(run))
        finally:
            service.end(lambda: False)
    except AttnCompareError:
        raise
    except (Exception, SystemExit) as error:
        raise RunFailed(f"the comparison is not in W&B: {one_line(error)}") from None
    if online:
        return str(run.url)
    kept = os.path.relpath(run.settings.sync_dir)
    return f"kept for later; send it with: wandb sync {shlex.quote(kept)}"


def _start(folder: Path, shown: ShownComparison, online: bool) -> wandb.Run:
    return wandb.init(
        mode="online" if online else "offline",
        dir=str(folder.absolute()),
        project=shown.project,
        entity=shown.entity,
        group=shown.group,
        job_type=JOB_TYPE,
        id=shown.run_id,
        resume="allow" if online else None,
        name=shown.name,
        notes=shown.notes,
        tags=[JOB_TYPE],
        config=dict(shown.config),
        reinit="create_new",
        settings=wandb.Settings(
            silent=True,
            console="off",
            init_timeout=_INIT_SECONDS,
            finish_timeout=_UPLOAD_SECONDS,
            finish_timeout_raises=True,
        ),
    )


def _log(run: wandb.Run, shown: ShownComparison) -> None:
    tables = {
        name: wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows], allow_mixed_types=True)
        for name, table in shown.tables.items()
    }
    # W&B would otherwise add a link to a style sheet of its own to the page.
    run.log({"report": wandb.Html(shown.page, inject=False), **tables})
    run.summary.update(dict(shown.summary))


def _finish(run: wandb.Run) -> None:
    run.finish()
    wandb.teardown()  # its process writes until it ends
    if kept_rows(file := Path(run.settings.sync_file)) < 1:
        raise OSError(f"nothing is in {file}")
