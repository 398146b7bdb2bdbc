"""How processes on one machine join to train as one: gloo on the CPU, nccl between GPUs."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.environments import ClusterEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed

from attncompare.config import RunConfig
from attncompare.errors import Refused

_PATIENCE = timedelta(minutes=10)  # within a step; nobody waits in a step while the first process validates or writes
_ON_GPU = "cpu:gloo,cuda:nccl"
_ADDRESS = "GLOO_SOCKET_IFNAME"


def accelerator(config: RunConfig) -> str:
    """Return Lightning's name of what the run computes on: several processes without GPUs share the CPU.

    Raises:
        Refused: if there are fewer GPUs than processes, or torch was built for one process.
    """
    wanted, devices = config.trainer.accelerator, config.trainer.devices
    if devices == 1:
        return wanted
    if not distributed.is_available():
        raise Refused(f"trainer.devices={devices}: this build of torch knows one process only; use trainer.devices=1")
    if wanted == "cpu" or not torch.cuda.is_available():
        return "cpu"
    there = torch.cuda.device_count()
    if there < devices:
        raise Refused(
            f"trainer.devices={devices}: valid here: 1 to {there}, one for each GPU; or trainer.accelerator=cpu"
        )
    return "gpu"


@contextmanager
def joined(meeting: Path, rank: int, world: int, device: torch.device) -> Iterator[None]:
    """Be one of ``world`` processes until the end.

    Args:
        meeting: a folder that these processes alone share.
        rank: which of them this is, from 0.
        world: how many there are.
        device: what this one computes on.
    """
    store = distributed.FileStore(str(meeting / "store"), world)
    options: dict[str, Any] = {"device_id": device} if device.type == "cuda" else {}
    with _this_machine_alone():
        distributed.init_process_group(
            _ON_GPU if device.type == "cuda" else "gloo",
            store=store,
            rank=rank,
            world_size=world,
            timeout=_PATIENCE,
            **options,
        )
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def _this_machine_alone() -> Iterator[None]:
    """Let gloo listen where no other machine can reach it; by itself it takes the address of the machine's name."""
    before = os.environ.get(_ADDRESS)
    names = [name for _, name in socket.if_nameindex()]
    os.environ[_ADDRESS] = "lo" if "lo" in names else "lo0"  # Linux; macOS
    try:
        yield
    finally:
        del os.environ[_ADDRESS]
        if before is not None:
            os.environ[_ADDRESS] = before


class Started(ClusterEnvironment):
    """Tells Lightning that all processes are there, and which this is.

    Args:
        rank: which, from 0.
        world: how many there are.
    """

    main_address, main_port = "127.0.0.1", 0  # never asked for: the processes have joined before

    def __init__(self, rank: int, world: int) -> None:
        self._rank, self._world = rank, world

    @property
    def creates_processes_externally(self) -> bool:
        """Return that Lightning shall start nothing: it would run the command line again."""
        return True

    @staticmethod
    def detect() -> bool:
        """Return that nobody gets this without asking for it."""
        return False

    def world_size(self) -> int:
        """Return how many processes there are."""
        return self._world

    def global_rank(self) -> int:
        """Return which of them this is."""
        return self._rank

    local_rank = global_rank  # there is one machine

    def node_rank(self) -> int:
        """Return which machine this is."""
        return 0

    def set_world_size(self, size: int) -> None:
        """Hear what Lightning believes."""
        assert size == self._world

    def set_global_rank(self, rank: int) -> None:
        """Hear what Lightning believes."""
        assert rank == self._rank


class Ddp(DDPStrategy):
    """Lightning's ``ddp`` among processes that are there already.

    Args:
        same_order: add up every gradient in the same order at each step, so that a resumed run has the same bits.
    """

    def __init__(self, same_order: bool) -> None:
        # Torch sorts the gradients anew after the first step of a process, by when they were ready, and a sum of three
        # or more depends on their place. It does not where it looks for unused parameters, of which there are none.
        # The model's buffers are constants, which need not be sent at every step.
        options = {"find_unused_parameters": same_order, "forward_sync_buffers": False}
        super().__init__(gradient_as_bucket_view=True, **options)

    def _configure_launcher(self) -> None:
        """Have no launcher: Lightning's changes the number of threads, also where it launches nothing."""
