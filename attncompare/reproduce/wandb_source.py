"""A run as Weights & Biases recorded it: offline, in a folder on this machine, or online, through its API."""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

from attncompare.errors import Refused
from attncompare.reproduce.facts import Facts, course_of
from attncompare.record import MEBIBYTE, read_inside
from attncompare.wandb_logging.wandb_file import first_line
from attncompare.wandb_logging.wandb_record import (
    REQUIREMENTS,
    WandbRecord,
    machine,
    packages,
    read_offline,
    wandb_record,
)

_REACH = 5  # seconds until the server must have said whether the login is good
_PATIENCE = 60  # seconds for each of its answers after that
# What stands in the summary for the whole run.
_FINAL = ("weights_sha256", "training_state_sha256", "steps", "best_step")
_ENVIRONMENT = ("data_fingerprint", "threads")


def offline_facts(file: Path) -> Facts:
    """Return what the ``.wandb`` file of an offline run holds.

    Raises:
        Refused: if it is damaged, or is no run of attncompare.
    """
    return _facts(read_offline(file))


def online_facts(path: str) -> Facts:
    """Return what W&B's server holds of the run ``path``, which is ``entity/project/run``.

    Raises:
        Refused: without a login, without a network, or if there is no such run of attncompare.
    """
    import wandb

    quiet = io.StringIO()  # W&B would ask for a key on a terminal
    try:
        with contextlib.redirect_stderr(quiet):
            wandb.Api(timeout=_REACH)
            run = wandb.Api(timeout=_PATIENCE).run(path)
            config, summary, rows = dict(run.config), dict(run.summary_metrics), list(run.scan_history())
            environment = {**machine(run.metadata or {}), **_online_packages(run)}
    except wandb.errors.UsageError:
        raise Refused(
            f"{path}: no such folder, and as a run of W&B it needs a login: run `wandb login` (or set WANDB_API_KEY), "
            "or give the folder of the run"
        ) from None
    except (wandb.errors.Error, ValueError) as error:
        raise Refused(f"{path}: no such folder, and W&B gave no run of that name: {first_line(error)}") from None
    return _facts(wandb_record(path, config, summary, rows, environment))


def _facts(known: WandbRecord) -> Facts:
    summary, test = known.summary, known.figures("test")
    final = {key: summary[key] for key in _FINAL if key in summary}
    return Facts(
        source=known.source,
        state=known.state,
        values=known.values,
        environment={**known.environment, **{key: summary[key] for key in _ENVIRONMENT if key in summary}},
        rows=known.rows,
        final={**final, "test": test} if test else final,
        predictions=None,
        course=course_of(summary),
    )


def _online_packages(run: Any) -> dict[str, Any]:
    import wandb

    with tempfile.TemporaryDirectory() as folder:
        try:
            run.file(REQUIREMENTS).download(root=folder, replace=True).close()
            return {"packages": packages(read_inside(Path(folder), REQUIREMENTS, MEBIBYTE))}
        except (wandb.errors.Error, ValueError, OSError, Refused):  # not every run has this file
            return {}
