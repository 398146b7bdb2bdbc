"""Training loops without a framework, one step after the other: of the framework's own model, and of others'."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from attncompare.bench.own_state import OwnState
from attncompare.config import RunConfig
from attncompare.data.module import DataModule
from attncompare.model.initialize import stable_seed
from attncompare.tasks import Task, build_task
from attncompare.tasks.base import autocast


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

    def turn(self, steps: int, state: OwnState) -> Callable[[], None]:
        """Return what does so many steps with the random generators of ``state``."""

        def several() -> None:
            for _ in range(steps):
                self.step()

        return state.around(several)


def of_task(config: RunConfig, data: DataModule, device: torch.device) -> tuple[PlainLoop, OwnState]:
    """Return the loop that ends with the weights of ``attncompare train``: the framework's model, loss and optimizer.

    The random state is the one in which a run begins to train (:class:`attncompare.session.Session`).
    """
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
    state = OwnState()
    with state.entered():
        torch.manual_seed(stable_seed(config.seed, "dropout"))
    return loop, state


def of_peer(config: RunConfig, data: DataModule, peer: nn.Module, device: torch.device) -> PlainLoop:
    """Return a loop for ``peer`` with the batches of ``data`` and the optimizer of ``config``: AdamW, fused, for everyone."""
    peer.to(device).train()
    matrices = [p for p in peer.parameters() if p.requires_grad and p.dim() > 1]
    others = [p for p in peer.parameters() if p.requires_grad and p.dim() <= 1]
    chosen = config.optimizer
    groups = [{"params": matrices, "weight_decay": chosen.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=chosen.lr, betas=chosen.betas, eps=chosen.eps, fused=True)
    return PlainLoop(config, peer, cast(Trained, peer).loss, optimizer, None, iter(data.train_dataloader()))


def _moved(batch: Any, device: torch.device) -> Any:
    return batch if device.type == "cpu" else type(batch)(*(part.to(device) for part in batch))
