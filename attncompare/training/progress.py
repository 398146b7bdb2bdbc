"""What a run says of itself while it goes on: to a function, as Lightning's bar in a terminal, or as plain lines."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar

Shown = Literal["bar", "lines"]
_SECONDS = 10.0  # between two lines, at least
_SHARES = 10  # a line for each of so many equal parts of a training


@dataclass(frozen=True)
class Progress:
    """Where a run stands: ``phase`` in words, optimizer step, and the newest training loss."""

    phase: str
    step: int
    max_steps: int
    loss: float | None = None


OnProgress = Callable[[Progress], None]


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
    """Tells a function where the run stands: at every row of metrics and before each validation."""

    def __init__(self, tell: OnProgress) -> None:
        self._tell = tell

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Tell of a row."""
        if pl_module.row.get("step") == trainer.global_step:
            self._tell(Progress("training", trainer.global_step, pl_module.last_step, pl_module.row["train/loss"]))

    def on_validation_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Tell of a validation."""
        if trainer.state.fn == "fit":
            self._tell(Progress("validating", trainer.global_step, pl_module.last_step))

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Tell of the test."""
        self._tell(Progress("testing", trainer.global_step, trainer.global_step))


class Lines:
    """Prints progress where no terminal shows a bar: a line for each tenth of the steps, and for each other phase.

    Args:
        label: what the run is called.
    """

    def __init__(self, label: str) -> None:
        self._label, self._told, self._at = label, ("", -1), 0.0

    def __call__(self, progress: Progress) -> None:
        """Print a line where there is something new."""
        share = _SHARES * progress.step // max(1, progress.max_steps)
        now = time.monotonic()
        new = progress.phase != self._told[0] or (share > self._told[1] and now - self._at >= _SECONDS)
        if progress.phase == "validating" or not (new or progress.step == progress.max_steps):
            return
        self._told, self._at = (progress.phase, share), now
        loss = "" if progress.loss is None else f", loss {progress.loss:.3f}"
        steps = f" step {progress.step}/{progress.max_steps}" if progress.step else ""
        print(f"{self._label}: {progress.phase}{steps}{loss}", file=sys.stderr)
