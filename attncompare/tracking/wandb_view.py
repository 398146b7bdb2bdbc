"""The W&B run: a view of the record, one for each training run, finished whatever happens (C8)."""

import contextlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wandb
from PIL import Image

from attncompare.config import RunConfig
from attncompare.errors import Refused
from attncompare.metric_names import METRICS
from attncompare.tracking.record import State

STEP = "step"


def require_login() -> None:
    """Refuse ``tracking=online`` where W&B knows no account."""
    with contextlib.redirect_stderr(io.StringIO()):
        logged_in = wandb.login(prompt=False)
    if not logged_in:
        raise Refused(
            "tracking=online: no W&B login found; run `wandb login` (or set WANDB_API_KEY), "
            "or train with tracking=offline and upload later with `wandb sync`"
        )


class WandbView:
    """Shows one record in W&B, offline or online.

    Args:
        folder: the run's folder; W&B keeps its own files in ``wandb/`` there.
        config: the run; stored as plain nested values.
        group: the sweep that the run belongs to, if any.
    """

    def __init__(self, folder: Path, config: RunConfig, group: str | None) -> None:
        self._data_dir = os.environ.get("WANDB_DATA_DIR")
        # Tables are staged there until they are uploaded: inside the run, so that the folder can be moved and synced later.
        os.environ["WANDB_DATA_DIR"] = str((folder / "wandb").absolute())
        (folder / "wandb").mkdir(exist_ok=True)
        online = config.tracking.wandb == "online"
        self._run = wandb.init(
            mode="online" if online else "offline",
            dir=str(folder.absolute()),
            project=config.tracking.project,
            entity=config.tracking.entity,
            group=group,
            job_type=config.task.name,
            name=config.name or folder.name,
            notes=config.notes or None,
            tags=[config.attention.name, config.data.name, *config.tags],
            config=config.to_dict(),
            reinit="create_new",
            settings=wandb.Settings(silent=not online, console="off"),
        )
        self._run.define_metric(STEP, hidden=True)
        for name, metric in METRICS.items():
            best = "max" if metric.higher_is_better else "min"
            self._run.define_metric(f"val/{name}", step_metric=STEP, summary=f"{best},last")
        self._run.define_metric("train/*", step_metric=STEP)
        self._run.define_metric("maps/*", step_metric=STEP)

    @property
    def id(self) -> str:
        """Return W&B's id of the run."""
        return self._run.id

    def log(self, step: int, values: dict[str, float]) -> None:
        """Show one row of ``metrics.csv``."""
        self._run.log({STEP: step, **values})

    def images(self, step: int, pictures: dict[str, bytes]) -> None:
        """Show PNG pictures by name."""
        images = {name: wandb.Image(Image.open(io.BytesIO(png))) for name, png in pictures.items()}
        self._run.log({STEP: step, **images})

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Show a table; an empty one is left out, because W&B cannot tell its types."""
        if rows:
            self._run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

    def page(self, name: str, html: str) -> None:
        """Show a self-contained page, as it is: W&B would otherwise add a link to a style sheet of its own."""
        self._run.log({name: wandb.Html(html, inject=False)})

    def finish(self, state: State, summary: dict[str, Any]) -> None:
        """End the run with its final figures; anything but ``finished`` ends it as failed."""
        try:
            self._run.summary.update({**summary, "state": state})
            self._run.finish(exit_code=0 if state == "finished" else 1)
        finally:
            if self._data_dir is None:
                os.environ.pop("WANDB_DATA_DIR", None)
            else:
                os.environ["WANDB_DATA_DIR"] = self._data_dir
