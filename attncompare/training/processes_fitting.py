"""The Lightning trainer of a run, the same in all of its processes."""

import warnings
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.plugins.environments import LightningEnvironment

from attncompare.attention.kernels.heap import keep_freed_memory
from attncompare.config import RunConfig
from attncompare.training.processes_group import Ddp, Started, accelerator


def make_trainer(config: RunConfig, callback: Callback, rank: int = 0) -> Trainer:
    """Return the trainer of process number ``rank``, from 0, of ``trainer.devices``."""
    world = config.trainer.devices
    # Without an environment of ours, Lightning would answer a cluster's signals with checkpoints of its own.
    places: dict[str, Any] = {"plugins": [LightningEnvironment()]}
    if world > 1:
        strategy = Ddp(same_order=world > 2 and config.trainer.deterministic)
        # The data come to each process as its own rows; Lightning would share them out a second time.
        places = {"plugins": [Started(rank, world)], "strategy": strategy, "use_distributed_sampler": False}
    # With deterministic algorithms torch would also write NaN over all memory before it is used, about 200 times a step:
    # that finds what reads too early, and costs about 2 % of a small model's step. No result depends on it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    keep_freed_memory()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LeafSpec.*")  # a deprecation between Lightning and torch
        return Trainer(
            accelerator=accelerator(config),
            devices=world,
            precision=config.trainer.precision,
            max_epochs=1,  # one loader gives the batches of all epochs, from any step on
            accumulate_grad_batches=config.trainer.accumulate,
            gradient_clip_val=config.optimizer.clip_norm,
            deterministic=config.trainer.deterministic,
            callbacks=[callback],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **places,
        )
