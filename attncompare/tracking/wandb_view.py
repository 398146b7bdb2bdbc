"""The W&B run: a view of the record, one for each training run, finished whatever happens (C8)."""

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import wandb
from PIL import Image

from attncompare.config import RunConfig
from attncompare.errors import Refused
from attncompare.metric_names import METRICS
from attncompare.tracking.maps import ProbeMaps, head_numbers
from attncompare.tracking.record import State

STEP = "step"
# Where W&B stages tables until they are uploaded, and where it logs: else that would be in the home folder.
_KEPT_INSIDE = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR")
_PREDICTIONS = 100  # rows of the table; the record keeps all
_HEAD_COLUMNS = ["probe", "site", "layer", "head", "entropy", "distance", "largest", "aer"]


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
        self._before = {name: os.environ.get(name) for name in _KEPT_INSIDE}
        own = folder.absolute() / "wandb"
        own.mkdir()
        os.environ.update(dict.fromkeys(_KEPT_INSIDE, str(own)))
        try:
            self._run = self._init(folder, config, group)
        except BaseException:
            self._restore_environment()
            raise
        self._run.define_metric(STEP, hidden=True)
        for name, metric in METRICS.items():
            best = "max" if metric.higher_is_better else "min"
            self._run.define_metric(f"val/{name}", step_metric=STEP, summary=f"{best},last")
        self._run.define_metric("train/*", step_metric=STEP)
        self._run.define_metric("maps/*", step_metric=STEP)

    @staticmethod
    def _init(folder: Path, config: RunConfig, group: str | None) -> wandb.Run:
        online = config.tracking.wandb == "online"
        return wandb.init(
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

    def log(self, step: int, values: dict[str, float]) -> None:
        """Show one row of ``metrics.csv``."""
        self._run.log({STEP: step, **values})

    def images(self, step: int, pictures: dict[str, bytes]) -> None:
        """Show PNG pictures by name."""
        images = {name: wandb.Image(Image.open(io.BytesIO(png))) for name, png in pictures.items()}
        self._run.log({STEP: step, **images})

    def results(
        self, predictions: list[dict[str, Any]], maps: list[tuple[int, list[ProbeMaps]]], page: str | None
    ) -> None:
        """Show what came out: predictions, and, where there are probes, their maps as a page and as numbers per head.

        Args:
            predictions: the rows of ``predictions.jsonl``.
            maps: the probes' maps by step.
            page: all of them as a self-contained page.
        """
        if predictions:
            rows = [list(row.values()) for row in predictions[:_PREDICTIONS]]
            self._run.log({"predictions": wandb.Table(columns=list(predictions[0]), data=rows)})
        if page is None:
            return
        # W&B would otherwise add a link to a style sheet of its own.
        self._run.log({"attention": wandb.Html(page, inject=False)})
        heads = [
            [probe.probe, site.site, head.layer, head.head, head.entropy, head.distance, head.largest, head.aer]
            for probe in maps[-1][1]
            for site in probe.sites
            for head in head_numbers(site)
        ]
        self._run.log({"heads": wandb.Table(columns=_HEAD_COLUMNS, data=heads)})

    def finish(self, state: State, summary: dict[str, Any]) -> None:
        """End the run with its final figures; anything but ``finished`` ends it as failed."""
        try:
            self._run.summary.update({**summary, "state": state})
            self._run.finish(exit_code=0 if state == "finished" else 1)
        finally:
            self._restore_environment()

    def _restore_environment(self) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
