"""What ties the record to a Lightning trainer: rows, weights and maps at the right steps."""

import logging
import math
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from attncompare.data.module import Probe
from attncompare.errors import RunFailed
from attncompare.tasks.base import Task
from attncompare.tracking.files import write_bytes
from attncompare.tracking.heatmap import heatmap_png
from attncompare.tracking.maps import SITE_TITLES, ProbeMaps, save_maps
from attncompare.tracking.meter import PeakMemory, Stopwatch
from attncompare.tracking.probing import probe_maps
from attncompare.tracking.progress import OnProgress, Progress
from attncompare.tracking.record import RecordWriter
from attncompare.tracking.wandb_view import WandbView
from attncompare.tracking.weights import save_weights

log = logging.getLogger("attncompare")


class Tracking(Callback):
    """Writes rows of metrics while training goes on and, at each validation, the weights and the maps of the probes.

    Args:
        record: where everything is written.
        view: W&B's view of it, if any.
        task: what is trained.
        probes: the sentences whose maps are kept.
        on_progress: told of every logged step and phase.
    """

    def __init__(
        self, record: RecordWriter, view: WandbView | None, task: Task, probes: list[Probe], on_progress: OnProgress
    ) -> None:
        self.record, self.view, self.task, self.on_progress = record, view, task, on_progress
        self.config = record.config
        self.probes = probes
        self.watch = Stopwatch()
        self.memory: PeakMemory | None = None
        self.best_loss = math.inf
        self.best_step = 0
        self.validated_step = -1
        self.weights_sha256 = ""
        self._losses: list[torch.Tensor] = []  # since the last row
        self._last = (0, 0.0)  # tokens and seconds at the last row
        self._maps: list[tuple[int, list[ProbeMaps]]] = []

    @property
    def maps(self) -> list[tuple[int, list[ProbeMaps]]]:
        """Return the probes' maps by step."""
        return self._maps

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin to measure."""
        self.memory = PeakMemory()
        self.watch.start()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Write a row every ``trainer.log_every`` steps: the loss is the mean over the steps since the last one."""
        step = trainer.global_step
        self._losses.append(outputs["loss"].detach())
        if step % self.config.trainer.log_every and step != self.config.trainer.max_steps:
            return
        loss = torch.stack(self._losses).mean().item()
        self._losses.clear()
        tokens, seconds = self.task.tokens_trained, self.watch.seconds
        values = {
            "train/loss": loss,
            "train/lr": trainer.optimizers[0].param_groups[0]["lr"],
            "train/grad_norm": self.task.gradient_norm.item(),
            "train/tokens_per_second": (tokens - self._last[0]) / max(seconds - self._last[1], 1e-9),
        }
        self._last = (tokens, seconds)
        self._row(step, trainer.current_epoch, values)
        self.on_progress(Progress("training", step, self.config.trainer.max_steps, loss))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Stop the clock of training."""
        self.watch.stop()
        step = trainer.global_step
        self.on_progress(Progress("validating", step, self.config.trainer.max_steps))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Write the metrics of val, the weights and the maps.

        Raises:
            RunFailed: if the loss is no number; the weights before stay as they are.
        """
        step = trainer.global_step
        metrics = self.task.results["val"]
        self._row(step, trainer.current_epoch, {f"val/{name}": value for name, value in metrics.items()})
        if not math.isfinite(metrics["loss"]):
            raise RunFailed(f"step {step}: the validation loss is {metrics['loss']}")
        self.validated_step = step
        self._save_weights(step, metrics["loss"])
        self._save_maps(step)
        self.watch.start()

    def _row(self, step: int, epoch: int, values: dict[str, float]) -> None:
        self.record.log(step, epoch, values)
        if self.view:
            self.view.log(step, values)

    def _save_weights(self, step: int, loss: float) -> None:
        folder = self.record.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        self.weights_sha256 = save_weights(folder / "last.safetensors", self.task.model)
        if loss < self.best_loss:
            self.best_loss, self.best_step = loss, step
            save_weights(folder / "best.safetensors", self.task.model)
        log.info("step %d: val loss %.4f, best %.4f at step %d", step, loss, self.best_loss, self.best_step)

    def _save_maps(self, step: int) -> None:
        if not self.probes:
            return
        folder = self.record.path / "maps"
        folder.mkdir(exist_ok=True)
        maps = [probe_maps(self.task, n, probe) for n, probe in enumerate(self.probes)]
        self._maps.append((step, maps))
        save_maps(folder / f"step-{step:07d}.npz", step, maps)
        pictures = {}
        for one in maps[: self.config.tracking.images]:
            for site in one.sites:
                title = f"{self.config.attention.name}, {SITE_TITLES[site.site]}, step {step}"
                png = heatmap_png(site, title)
                write_bytes(folder / f"step-{step:07d}-probe{one.probe}-{site.site}.png", png)
                pictures[f"maps/{site.site}/probe{one.probe}"] = png
        if self.view and pictures:
            self.view.images(step, pictures)
