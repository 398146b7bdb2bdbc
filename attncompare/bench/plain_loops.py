"""Trainings that take turns (apart.py): without a framework, one step after the other, and by ``attncompare train``."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from attncompare.bench.apart import Pause
from attncompare.bench.peers.sizes import Sizes
from attncompare.config import RunConfig
from attncompare.data.module import DataModule
from attncompare.model.initialize import stable_seed
from attncompare.tasks import Task, build_task
from attncompare.tasks.base import autocast
from attncompare.training.progress import Progress
from attncompare.training.run import train


class Trained(Protocol):
    """A model that knows its loss."""

    def loss(self, batch: Any) -> Tensor:
        """Return the training loss of a batch."""
        ...


class PlainLoop:
    """Forward, loss, backward, clip, optimizer, schedule: nothing else.

    Args:
        config: what is trained, and how.
        model: whose parameters are clipped.
        loss: of a batch.
        optimizer: of the model.
        scheduler: of the optimizer; None: the learning rate stays.
        batches: of the run, in its order; each loop makes its own, as a training would.
    """

    def __init__(
        self,
        config: RunConfig,
        model: nn.Module,
        loss: Callable[[Any], Tensor],
        optimizer: torch.optim.Optimizer,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None,
        batches: Iterator[Any],
    ) -> None:
        self.model, self.steps = model, 0
        self._loss, self._optimizer, self._scheduler, self._batches = loss, optimizer, scheduler, batches
        self._device = next(model.parameters()).device
        self._precision: Callable[[], AbstractContextManager[Any]] = lambda: autocast(
            config.trainer.precision, self._device
        )
        self._longest = config.optimizer.clip_norm or float("inf")
        self._last = config.trainer.max_steps

    def step(self) -> None:
        """Do one optimizer step with the next batch."""
        batch = _moved(next(self._batches), self._device)
        self._optimizer.zero_grad()
        with self._precision():
            loss = self._loss(batch)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self._longest)
        self._optimizer.step()
        if self._scheduler is not None:
            self._scheduler.step()
        self.steps += 1

    def run(self, pause: Pause, steps: int) -> None:
        """Do all steps of the config, and pause before the first and after every so many."""
        while self.steps < self._last:
            if self.steps % steps == 0:
                pause()
            self.step()
        pause()


def train_by_command(pause: Pause, config: RunConfig) -> Path:
    """Train by :func:`attncompare.training.run.train`, trainer, record and W&B included, and return the record's folder.

    A turn is what lies between two rows of the metrics, so ``trainer.log_every`` steps and the writing of one row; it is
    also the start in the first, and in the last, validation and test.
    """

    def between_rows(progress: Progress) -> None:
        if progress.phase == "training":
            pause()

    pause()
    return train(config, threads=torch.get_num_threads(), on_progress=between_rows).path


def train_task(pause: Pause, config: RunConfig, steps: int) -> dict[str, np.ndarray]:
    """Train the framework's model with its loss and optimizer, a turn being so many steps; return the weights by name.

    They are those of ``attncompare train``: the random state is the one in which a run begins to train
    (:class:`attncompare.training.session.Session`).
    """
    data, device = _prepared(config)
    task: Task[Any] = build_task(config, data.tokenizer, data.source_tokenizer).to(device)
    chosen = task.configure_optimizers()
    loop = PlainLoop(
        config,
        task.model,
        lambda batch: task.loss(batch)[0],
        chosen["optimizer"],
        chosen["lr_scheduler"]["scheduler"],
        iter(data.train_dataloader()),
    )
    torch.manual_seed(stable_seed(config.seed, "dropout"))
    loop.run(pause, steps)
    return {name: weights.detach().cpu().numpy() for name, weights in task.model.named_parameters()}


def train_peer(pause: Pause, config: RunConfig, make: Callable[[Sizes], nn.Module], steps: int) -> None:
    """Train another model with the same batches and the optimizer of ``config``: AdamW, fused, for everyone."""
    data, device = _prepared(config)
    torch.manual_seed(config.seed)
    peer = make(Sizes.of(config, data.tokenizer.vocab_size)).to(device).train()
    matrices = [p for p in peer.parameters() if p.requires_grad and p.dim() > 1]
    others = [p for p in peer.parameters() if p.requires_grad and p.dim() <= 1]
    chosen = config.optimizer
    groups = [{"params": matrices, "weight_decay": chosen.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=chosen.lr, betas=chosen.betas, eps=chosen.eps, fused=True)
    loop = PlainLoop(config, peer, cast(Trained, peer).loss, optimizer, None, iter(data.train_dataloader()))
    loop.run(pause, steps)


def multiply(pause: Pause, size: int, times: int, dtype: torch.dtype, device: str) -> None:
    """Multiply two matrices of ``size`` rows and columns so many times in each turn, to the same place."""
    left, right, product = (torch.randn(size, size, device=device).to(dtype) for _ in range(3))
    while True:
        pause()
        for _ in range(times):
            torch.mm(left, right, out=product)


def device_of(config: RunConfig) -> torch.device:
    """Return where a benchmarked run computes."""
    return torch.device("cuda" if config.trainer.accelerator == "gpu" else "cpu")


def _prepared(config: RunConfig) -> tuple[DataModule, torch.device]:
    data = DataModule(config)
    data.prepare()
    return data, device_of(config)


def _moved(batch: Any, device: torch.device) -> Any:
    return batch if device.type == "cpu" else type(batch)(*(part.to(device) for part in batch))
