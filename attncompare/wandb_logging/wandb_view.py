"""The W&B run: a view of the record, one for each training run, finished whatever happens (C8).

It can fail without hurting anything: the record holds all that W&B shows, and :meth:`WandbView.replay` shows it again.
"""

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import wandb

from attncompare.config import RunConfig
from attncompare.text import METRICS
from attncompare.maps.maps import ProbeMaps
from attncompare.record import Run, State
from attncompare.wandb_logging.replay import pictures_by_step
from attncompare.wandb_logging.wandb_calls import OwnService, kept_rows, one_line, within
from attncompare.wandb_logging.wandb_login import require_login
from attncompare.wandb_logging.wandb_media import heads_table, image, maps_page, predictions_table, resend

__all__ = ["Mode", "WandbView", "require_login"]

log = logging.getLogger("attncompare")

STEP = "step"
UPLOAD_SECONDS = 300.0
"""How long the end of a run waits for the last uploads."""
_INIT_SECONDS = 30.0
_START_SECONDS = 120.0  # its process may take 30 s to come up, who is logged in another 10
_CALL_SECONDS = 60.0
_STOPPED_SECONDS = 10.0

Mode = Literal["offline", "online"]


class WandbView:
    """Shows one record in W&B, offline or online; :meth:`start` makes it.

    Nothing that goes wrong in W&B is raised. The first time, the view is broken: it says so once in the log, keeps what
    went wrong in ``problem``, and does nothing any more. KeyboardInterrupt passes through.

    Args:
        mode: whether to send everything to W&B's server now.
        patience: seconds that :meth:`finish` waits for the last uploads.
        hurry: as for :meth:`start`.
    """

    def __init__(self, mode: Mode, patience: float, hurry: Callable[[], bool]) -> None:
        self.problem: str | None = None
        self.url: str | None = None
        self._mode, self._patience, self._hurry = mode, patience, hurry
        self._run: wandb.Run
        self._service: OwnService | None = None
        self._finished = False
        self._calls = 0  # how often something was shown: one row of W&B's history each
        self._held = 0  # how many of these rows W&B's server had before
        self._step: int | None = None
        self._one_at_a_time = threading.Lock()  # an interrupted call may still go on when the next one comes

    @classmethod
    def start(
        cls,
        folder: Path,
        config: RunConfig,
        group: str | None,
        *,
        run_id: str,
        mode: Mode | None = None,
        patience: float = UPLOAD_SECONDS,
        hurry: Callable[[], bool] = lambda: False,
    ) -> "WandbView":
        """Begin the W&B run. Where W&B cannot start, the view is broken from the beginning.

        Args:
            folder: the run's folder; W&B keeps its own files in ``wandb/`` there, what stood there before is removed.
            config: the run; stored as plain nested values.
            group: the sweep that the run belongs to, if any.
            run_id: W&B's name for the run, at least 8 characters. Where W&B's server knows it, the view goes on behind
                what the server has.
            mode: ``offline`` or ``online``; None: as ``config`` says.
            patience: seconds that :meth:`finish` waits for the last uploads.
            hurry: says whether somebody has asked the run to stop: no call then waits for W&B for more than a moment.
        """
        view = cls(mode or ("online" if config.tracking.wandb == "online" else "offline"), patience, hurry)
        try:
            view._try("W&B could not start", lambda: view._start(folder, config, group, run_id), _START_SECONDS)
        except BaseException:  # an interrupt; nobody has the view yet who could finish it
            view._end()
            raise
        return view

    def _start(self, folder: Path, config: RunConfig, group: str | None, run_id: str) -> None:
        own = folder.absolute() / "wandb"
        if own.exists():
            shutil.rmtree(own)
        own.mkdir()
        online = self._mode == "online"
        self._service = OwnService(own)
        self._run = wandb.init(
            mode=self._mode,
            dir=str(folder.absolute()),
            project=config.tracking.project,
            entity=config.tracking.entity,
            group=group,
            job_type=config.task.name,
            id=run_id,
            resume="allow" if online else None,
            name=config.name or folder.name,
            notes=config.notes or None,
            tags=[config.attention.name, config.data.name, *config.tags],
            config=config.to_dict(),
            reinit="create_new",
            settings=wandb.Settings(
                silent=not online,
                console="off",
                init_timeout=_INIT_SECONDS,
                finish_timeout=self._patience,
                finish_timeout_raises=True,
            ),
        )
        if online:
            self.url, self._held = self._run.url, self._run.starting_step
        self._run.define_metric(STEP, hidden=True)
        for name, metric in METRICS.items():
            if config.task.name in metric.tasks:
                best = "max" if metric.higher_is_better else "min"
                self._run.define_metric(f"val/{name}", step_metric=STEP, summary=f"{best},last")
        self._run.define_metric("train/*", step_metric=STEP)
        self._run.define_metric("train/loss", step_metric=STEP, summary="min,last")
        self._run.define_metric("maps/*", step_metric=STEP)

    def log(self, step: int, values: dict[str, float]) -> None:
        """Show one row of ``metrics.csv``."""
        self._show(lambda: {STEP: step, **values}, step)

    def images(self, step: int, pictures: dict[str, bytes]) -> None:
        """Show PNG pictures by name."""
        self._show(lambda: {STEP: step, **{name: image(png) for name, png in pictures.items()}}, step)

    def results(
        self, predictions: list[dict[str, Any]], maps: list[tuple[int, list[ProbeMaps]]], page: str | None
    ) -> None:
        """Show what came out: predictions, and, where there are probes, their maps as a page and as numbers per head.

        Args:
            predictions: the rows of ``predictions.jsonl``.
            maps: the probes' maps by step, the last of which gives the numbers.
            page: all of them as a self-contained page.
        """
        if predictions:
            self._show(lambda: {"predictions": predictions_table(predictions)})
        if page is not None:
            self._show(lambda: {"attention": maps_page(page)})
            self._show(lambda: {"heads": heads_table(maps[-1][1])})

    def replay(self, run: Run) -> None:
        """Show all rows of ``metrics.csv`` and the pictures of each validation, as :meth:`log` and :meth:`images` did.

        Raises:
            Refused: if the record is damaged.
        """
        if self.problem:
            return
        pictures = pictures_by_step(run)
        for row in run.metrics():
            step = int(row["step"])
            self.log(step, {name: value for name, value in row.items() if name not in ("step", "epoch")})
            if step in pictures and any(name.startswith("val/") for name in row):
                self.images(step, {key: run.read(name) for key, name in pictures[step].items()})

    def finish(self, state: State, summary: dict[str, Any]) -> None:
        """End the run with its final figures (wandb_figures.py) and W&B's process with it.

        Anything but ``finished`` ends it as failed. What W&B has kept is counted: it does not tell of a full disk. Only
        the first call does something.
        """
        if self._finished:
            return
        self._finished = True
        limit = _CALL_SECONDS + (self._patience if self._mode == "online" else 0)
        if state == "interrupted":  # whoever stopped it will not wait
            limit = _STOPPED_SECONDS
        try:
            self._hurry = lambda: False  # from here on the limit decides
            self._try("W&B could not finish", lambda: self._finish({**summary, "state": state}), limit)
        finally:
            self._end()

    def _finish(self, summary: dict[str, Any]) -> None:
        self._run.summary.update(summary)
        self._run.finish(exit_code=0 if summary["state"] == "finished" else 1)
        wandb.teardown()  # its process writes until it ends
        kept = kept_rows(file := Path(self._run.settings.sync_file))
        if kept != (sent := max(self._calls - self._held, 0)):
            raise OSError(f"only {kept} of {sent} rows are in {file}")

    def missing(self) -> str | None:
        """Return in one line what W&B lacks of the record, if anything."""
        if self.problem is None:
            return None
        if self._step is None:
            return f"W&B shows nothing of this run ({self.problem})"
        return f"W&B shows this run up to step {self._step} at most, without its final figures ({self.problem})"

    def _show(self, values: Callable[[], dict[str, Any]], step: int | None = None) -> None:
        def work() -> None:
            self._calls += 1
            if self._calls > self._held:
                self._run.log(values())
            else:  # a row may have arrived without its files
                resend(self._run, values(), self._calls - 1)

        self._try("W&B stopped taking what was logged", work, _CALL_SECONDS)
        if self.problem is None and step is not None:
            self._step = step

    def _try(self, failure: str, work: Callable[[], None], seconds: float) -> None:
        """Do ``work``, unless the view is broken; where it fails or hangs, the view is broken."""

        def alone() -> None:
            with self._one_at_a_time:
                work()

        if self.problem:
            return
        try:
            within(seconds, alone, self._hurry)
        except (Exception, SystemExit) as error:
            self.problem = f"{failure}: {one_line(error)}"
            log.warning("%s; the record is complete without it", self.problem)
            self._end()

    def _end(self) -> None:
        if self._service:
            self._service.end(self._hurry)
            self._service = None
