"""What ties the record to a Lightning trainer: rows, checkpoints, validation, weights and maps at the right steps."""

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from attncompare.data.module import DataModule, Probe
from attncompare.errors import NotFinite
from attncompare.maps import AttentionMaps
from attncompare.record import BEST_WEIGHTS, LAST_WEIGHTS, RecordLogger, save_weights
from attncompare.tasks.base import Task
from attncompare.training.averaging import Snapshots
from attncompare.training.checkpoint import of_this_run, save_checkpoint, state_digest
from attncompare.training.company import Company
from attncompare.training.ending import Ending
from attncompare.training.interrupts import Stop
from attncompare.training.meter import PeakMemory, Stopwatch
from attncompare.training.progress import OnProgress, Progress
from attncompare.training.random_states import (
    process_random_states,
    random_states,
    restore_process_random_states,
    restore_random_states,
)

if TYPE_CHECKING:
    from attncompare.wandb_logging import GuardedWandbLogger

log = logging.getLogger("attncompare")


@dataclass
class Best:
    """The lowest validation loss so far, its step, and the weights that had it."""

    loss: float = math.inf
    step: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)


class Tracking(Callback):
    """Follows one run: a row of metrics every few steps; at each validation a checkpoint, metrics, weights and maps.

    A checkpoint is written after a step and before its validation, so a run stopped while it validates loses nothing.

    Args:
        record: where everything is written.
        view: W&B's view of it, if any.
        task: what is trained.
        data: what it is trained and validated on.
        probes: the sentences whose maps are kept.
        stop: told when the run shall end early.
        stop_after: the step after which it shall; None: the last.
        on_progress: told of every logged step and phase.
        others: the processes that train beside this one; None: there are none.
    """

    def __init__(
        self,
        record: RecordLogger,
        view: "GuardedWandbLogger | None",
        task: Task,
        data: DataModule,
        probes: list[Probe],
        *,
        stop: Stop,
        stop_after: int | None,
        on_progress: OnProgress,
        others: Company | None = None,
    ) -> None:
        self.others = others
        self.record, self.view, self.task, self.data, self.probes = record, view, task, data, probes
        self.stop, self.stop_after, self.on_progress = stop, stop_after, on_progress
        self.config = record.config
        self.attention_maps = AttentionMaps(probes, record.path, record.config.tracking.images)
        self.ending = Ending(self.config, record.summary, record.path)
        task.plan = self.ending.plan
        last = self.config.trainer.average_last
        self.snapshots = None if last is None else Snapshots(record.path, last)
        self._epoch = data.batches_per_epoch
        self.watch = Stopwatch()
        self.best = Best()
        self.validated_step = 0
        self.val: dict[str, float] = {}
        self.weights_sha256 = self.training_state_sha256 = ""
        self._memory: PeakMemory | None = None
        self._memory_before = 0
        self._losses: list[Tensor] = []  # since the last row
        self._last = (0, 0.0)  # tokens and seconds at the last row
        self._random: tuple[dict[str, Any], dict[str, Any]] | None = None

    @property
    def peak_memory_bytes(self) -> int:
        """Return the most memory that training took."""
        return max(self._memory_before, self._memory.bytes() if self._memory else 0)

    def resume(self, checkpoint: dict[str, Any]) -> None:
        """Go back to where :meth:`_checkpoint` was called.

        Raises:
            Refused: if the checkpoint is one of another run or version.
        """
        with of_this_run(self.record.path):
            self._restore(checkpoint["state"], checkpoint["process"])

    def _restore(self, state: dict[str, Any], process: dict[str, Any]) -> None:
        processes = 1 + len(state.get("random_of_others", []))
        if processes != self.config.trainer.devices:
            raise ValueError(f"{processes} processes wrote it, not trainer.devices={self.config.trainer.devices}")
        self.task.resume(state["task"])
        self.training_state_sha256 = state_digest(state)
        self.best = Best(**state["best"])
        if self.best.step:
            save_weights(self.record.path / BEST_WEIGHTS, self.best.weights)
        self._losses = list(state["losses"])
        self._last = (state["tokens_at_last_row"], process["seconds_at_last_row"])
        self.watch = Stopwatch(process["seconds"])
        self._memory_before = process["peak_memory_bytes"]
        self.validated_step = process["validated_step"]
        self._random = state["random"], process["random"]
        if self.snapshots:
            self.snapshots.restore(state["snapshots"])
        if self.config.trainer.max_time is not None:
            self.ending.restore(process["ending"])
            self.task.plan = self.ending.plan

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin to measure, and go on with the random numbers."""
        self.stop.listen()  # Lightning has put a handler of its own in front
        self._losses = [loss.to(self.task.device) for loss in self._losses]
        if self._random:
            with of_this_run(self.record.path):
                restore_random_states(self._random[0], self.task.device)
                restore_process_random_states(self._random[1])
        self._memory = PeakMemory(self.task.device)
        self.watch.start()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Write the row, the checkpoint and the validation that are due; end the run if that was asked for."""
        if self.task.mid_step:
            return
        step = self.task.step
        self._losses.append(self.task.train_loss)
        if self.ending.step_done(step, self.watch.seconds):
            self.task.plan = self.ending.plan
            self.record.update(**self.ending.facts())
        if step % self.config.trainer.log_every == 0 or step == self.ending.last:
            self._row_of_training(step, trainer.optimizers[0].param_groups[0]["lr"])
        # Several processes stop at a step that all of them know.
        asked = self.task.exchange.stopping if self.task.exchange else self.stop.reason is not None
        stopping = asked or step == self.stop_after
        if not (stopping or self.ending.is_due(step)):
            return
        self.watch.stop()
        self._checkpoint(step)
        if stopping:
            raise KeyboardInterrupt
        self.validate()
        trainer.should_stop = self.ended_by is not None
        if self.others:
            self.others.go_on(over=trainer.should_stop)
        if not trainer.should_stop:  # what comes after training is no part of its time
            self.watch.start()

    @property
    def ended_by(self) -> str | None:
        """Return the key of ``trainer`` that ends training after the current step, which was validated, if one does."""
        return self.ending.reason(self.task.step, self.best.step) if self.validated_step == self.task.step else None

    def validate(self) -> None:
        """Write the metrics of val after the current step, the weights and the maps.

        Raises:
            NotFinite: if the loss is no number; the weights before stay as they are.
            KeyboardInterrupt: between two batches, if the run shall end.
        """
        step = self.task.step
        self.on_progress(Progress("validating", step, self.ending.last))
        self.val = self.task.evaluate(self.data, "val", self._check)
        self._row(step, {f"val/{name}": value for name, value in self.val.items()})
        if not math.isfinite(self.val["loss"]):
            raise NotFinite(f"step {step}: the validation loss is {self.val['loss']}")
        self._save_weights(step, self.val["loss"])
        self.validated_step = step
        self._save_maps(step)

    def _check(self) -> None:
        self.stop.check()
        if self.others:
            self.others.check()

    def _row_of_training(self, step: int, lr: float) -> None:
        """Log a row: the loss is the mean over the steps since the last one."""
        loss = torch.stack(self._losses).mean().item()
        self._losses.clear()
        tokens, seconds = self.task.tokens_trained, self.watch.seconds
        values = {
            "train/loss": loss,
            "train/lr": lr,
            "train/grad_norm": self.task.gradient_norm.item(),
            "train/tokens_per_second": (tokens - self._last[0]) / max(seconds - self._last[1], 1e-9),
        }
        self._last = (tokens, seconds)
        self._row(step, values)
        self.on_progress(Progress("training", step, self.ending.last, loss))

    def _row(self, step: int, values: dict[str, float]) -> None:
        # At every row, so that what two runs reached with the same tokens, or in the same time, can be told later.
        values = {**values, "train/tokens": self.task.tokens_trained, "train/seconds": self.watch.seconds}
        epoch = (step * self.config.trainer.accumulate - 1) // self._epoch
        self.record.log_metrics({"epoch": epoch, **values}, step)
        if self.view:
            self.view.log_metrics(values, step)

    def _checkpoint(self, step: int) -> None:
        """Write all that the future depends on (``state``), and what the clock and the process add (``process``)."""
        state = {
            "task": self.task.training_state(),
            "best": {"loss": self.best.loss, "step": self.best.step, "weights": self.best.weights},
            "losses": list(self._losses),
            "tokens_at_last_row": self._last[0],
            "random": random_states(self.task.device),
        }
        if self.others:
            state["random_of_others"] = self.others.random_states(step)
        if self.snapshots:
            state["snapshots"] = self.snapshots.state()
        process = {
            "seconds": self.watch.seconds,
            "seconds_at_last_row": self._last[1],
            "wall_seconds": self.record.wall_seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "validated_step": self.validated_step,
            **self.record.metrics_so_far(),
            "random": process_random_states(),
        }
        if self.config.trainer.max_time is not None:
            process["ending"] = self.ending.state()
        save_checkpoint(self.record.path, step, {"state": state, "process": process})
        if self.ending.may_be_last(step):
            self.training_state_sha256 = state_digest(state)

    def _save_weights(self, step: int, loss: float) -> None:
        (self.record.path / LAST_WEIGHTS).parent.mkdir(exist_ok=True)
        weights = {name: parameter.detach().cpu() for name, parameter in self.task.model.named_parameters()}
        self.weights_sha256 = save_weights(self.record.path / LAST_WEIGHTS, weights)
        if loss < self.best.loss:
            save_weights(self.record.path / BEST_WEIGHTS, weights)
            self.best = Best(loss, step, {name: tensor.clone() for name, tensor in weights.items()})
        if self.snapshots:
            self.snapshots.add(step, weights)
        log.info("step %d: val loss %.4f, best %.4f at step %d", step, loss, self.best.loss, self.best.step)

    def _save_maps(self, step: int) -> None:
        self.attention_maps.capture(self.task, step, [self.view] if self.view else [])
