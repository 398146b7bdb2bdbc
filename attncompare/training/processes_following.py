"""What another process of a run does: it prepares the same data and model, and trains on its rows of each batch."""

import os
import shutil
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from attncompare.config import RunConfig
from attncompare.data.module import DataModule
from attncompare.model.initialize import stable_seed
from attncompare.tasks import Task, build_task
from attncompare.tasks.exchange import Exchange
from attncompare.training.checkpoint import load_checkpoint, pack
from attncompare.training.ending import Ending
from attncompare.training.faults import explain
from attncompare.training.processes_fitting import make_trainer
from attncompare.training.processes_group import joined
from attncompare.training.processes_output import redirect
from attncompare.training.random_states import (
    process_random_states,
    random_states,
    restore_process_random_states,
    restore_random_states,
    seed_all,
)

LOST = 3
"""The exit code of a process that ends because another one is gone."""

_DISCONNECTED = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")  # gloo's words


@dataclass(frozen=True)
class Orders:
    """All that another process is told at its start.

    Attributes:
        config: the run.
        rank: its number, from 1.
        threads: CPU threads.
        meeting: a folder that the processes of the run alone share.
        environment: the environment variables of the first process.
    """

    config: RunConfig
    rank: int
    threads: int
    meeting: Path
    environment: dict[str, str]


def follow(orders: Orders, connection: Connection) -> None:
    """Train as process ``orders.rank`` until the end, and tell the first process over ``connection`` what goes wrong."""
    # Ctrl-C and SIGTERM are for the first process: it says when training ends, and the others end with it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    threading.Thread(target=_end_with_the_first, args=(orders.meeting,), daemon=True).start()
    os.environ.clear()
    os.environ.update(orders.environment)
    redirect(orders.meeting / f"process-{orders.rank}.log")
    try:
        _train(orders, connection)
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        if isinstance(error, RuntimeError) and any(words in str(error) for words in _DISCONNECTED):
            os._exit(LOST)
        known = explain(error, orders.config, orders.meeting)
        connection.send(("failed", f"failed: {known or f'{type(error).__name__}: {error}'}"))
        os._exit(1)  # whatever would still be torn down may wait for a process that is gone


def _end_with_the_first(meeting: Path) -> None:
    """End this process when the first is gone, in whatever way and wherever this one waits, and clear up for it."""
    first = parent_process()
    assert first is not None
    wait([first.sentinel])
    shutil.rmtree(meeting, ignore_errors=True)
    os._exit(1)


def _train(orders: Orders, connection: Connection) -> None:
    config, rank = orders.config, orders.rank
    torch.set_num_threads(orders.threads)
    data = DataModule(config)
    data.prepare()
    task = build_task(config, data.tokenizer, data.source_tokenizer)
    connection.send(("ready", None))
    resumed: Path | None = connection.recv()
    random = None
    if resumed is not None:
        loaded = load_checkpoint(resumed)
        assert loaded is not None, "the first process has read it"
        state = loaded[1]["state"]
        task.resume(state["task"])
        random = state["random_of_others"][rank - 1]
    trainer = make_trainer(config, Following(task, connection, random), rank)
    with joined(orders.meeting, rank, config.trainer.devices, trainer.strategy.root_device):
        # Each process drops out in a way of its own; together they see as many independent masks as one would.
        seed_all(stable_seed(config.seed, "dropout", rank))
        data.first_step = task.step
        loader = data.train_dataloader()
        task.exchange = Exchange(loader.order)
        trainer.fit(task, loader)


class Following(Callback):
    """Keeps step with the first process: where that writes a checkpoint, this one sends what it adds, and waits.

    Args:
        task: what is trained.
        connection: to the first process.
        random: the random states to go on with, for a run that is resumed.
    """

    def __init__(self, task: Task, connection: Connection, random: dict[str, Any] | None) -> None:
        self._task, self._connection, self._random = task, connection, random
        self._ending = Ending(task.config, {}, Path(task.config.runs))  # several processes have no clock, so no plan

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Go on with the random numbers."""
        if self._random:
            restore_random_states(self._random["random"], self._task.device)
            restore_process_random_states(self._random["process"])

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Send the random states where a checkpoint is due; where training stops, this process ends while it waits."""
        task = self._task
        assert task.exchange is not None
        if task.mid_step:
            return
        if task.exchange.stopping or self._ending.is_due(task.step):
            random = {"random": random_states(task.device), "process": process_random_states()}
            self._connection.send(("random", pack(random, task.step)))
            trainer.should_stop = self._connection.recv()
