"""Lightning's callbacks that show where a run stands: its own bar in a terminal, or a function that is told."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar

from attncompare.tasks.metrics import metric
from attncompare.training.ending import Budget
from attncompare.training.progress import OnProgress, Progress

_SECONDS = 5.0  # at least so often, where rows of metrics come more slowly


class Bar(RichProgressBar):
    """Lightning's rich progress bar, with the optimizer steps of the whole run in front of the metrics."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=10)

    def _get_train_description(self, current_epoch: int) -> str:
        return f"Epoch {current_epoch}".ljust(len(self.validation_description))  # how many there will be is not known

    def get_metrics(self, trainer: Trainer, pl_module: Any) -> dict[str, Any]:
        """Return steps done and metrics."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return {"step": f"{trainer.global_step}/{pl_module.last_step}", **metrics}


class Report(Callback):
    """Tells a function where the run stands: at every row of metrics, at the start of each phase, and every few seconds.

    Args:
        tell: told.
        budget: knows which share of the training is done.
    """

    def __init__(self, tell: OnProgress, budget: Budget) -> None:
        self._tell, self._budget = tell, budget
        self._began, self._at, self._row_step = (0.0, 0.0), 0.0, 0
        self._val: str | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Measure the pace from here."""
        self._began = (time.monotonic(), self._budget.share(trainer.global_step))

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Tell of a row, or of a step after some seconds without any."""
        step = pl_module.row.get("step")
        new = step == trainer.global_step != self._row_step
        if new or self._long_ago():
            self._row_step = step
            self._say("training", trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Tell of a validation."""
        if trainer.state.fn == "fit":
            self._say("validating", trainer, pl_module)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Tell that it goes on."""
        if trainer.state.fn == "fit" and self._long_ago():
            self._say("validating", trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Keep the result."""
        shown = metric(pl_module.config.trainer.monitor)
        if f"val/{shown.name}" in trainer.callback_metrics:
            value = shown.format(trainer.callback_metrics[f"val/{shown.name}"].item())
            self._val = f"val {shown.title} {value}{' %' if shown.unit == '%' else ''}"

    def on_test_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Tell of the test."""
        self._say("testing", trainer, pl_module)

    def on_test_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Tell that it goes on."""
        if self._long_ago():
            self._say("testing", trainer, pl_module)

    def _long_ago(self) -> bool:
        return time.monotonic() - self._at >= _SECONDS

    def _say(self, phase: str, trainer: Trainer, task: Any) -> None:
        step, self._at = trainer.global_step, time.monotonic()
        if phase == "testing":
            self._tell(Progress(phase, step, step))
            return
        share, (began, before) = self._budget.share(step), self._began
        left = (self._at - began) * (1 - share) / (share - before) if share > before else None
        row = task.row if phase == "training" else {}
        speed = row.get("train/tokens_per_second")
        self._tell(Progress(phase, step, task.last_step, row.get("train/loss"), share, self._val, speed, left))
