"""Who gets what of this machine: cores and GPUs, shared between the runs that train at the same time."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from attncompare.errors import Refused, RunFailed
from attncompare.text import counted
from attncompare.sweep.job import Job

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Share:
    """``workers`` runs train at the same time, each with ``threads``.

    ``devices`` has for each of them the GPUs that it may see, as ``CUDA_VISIBLE_DEVICES`` names them; None: as it is.
    """

    workers: int
    threads: int
    devices: list[str | None]


def share(jobs: Sequence[Job], workers: int | None, cores: int, gpus: Sequence[str]) -> Share:
    """Divide a machine between the runs of a sweep.

    Args:
        jobs: the runs.
        workers: how many train at the same time; None: one for each GPU, or for each core where none is used. A run of
            several processes (``trainer.devices``) needs as many.
        cores: of the CPU.
        gpus: as ``CUDA_VISIBLE_DEVICES`` names them.

    Raises:
        Refused: if a run needs a GPU, or more of them, than there are.
    """
    processes = max(job.config.trainer.devices for job in jobs)
    for job in jobs:
        trainer = job.config.trainer
        if trainer.accelerator == "gpu" and not gpus:
            raise Refused("trainer.accelerator=gpu: no CUDA device found; use trainer=auto or trainer=cpu")
        if trainer.accelerator != "cpu" and 0 < len(gpus) < trainer.devices:
            found = counted(len(gpus), "CUDA device")
            raise Refused(f"trainer.devices={trainer.devices}: only {found} found; use fewer, or trainer=cpu")
    use = gpus if may_use_gpus(jobs) else ()
    groups = [",".join(use[first : first + processes]) for first in range(0, len(use) - processes + 1, processes)]
    workers = min(workers or max(1, len(groups) or cores // processes), len(jobs))
    devices = [groups[number % len(groups)] if groups else None for number in range(workers)]
    return Share(workers, max(1, cores // (workers * processes)), devices)


def may_use_gpus(jobs: Sequence[Job]) -> bool:
    """Return whether any of the runs would take a GPU where there is one."""
    return any(job.config.trainer.accelerator != "cpu" for job in jobs)


def cores_here() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus_here(processes: Any) -> list[str]:
    """Return the GPUs that torch sees, as ``CUDA_VISIBLE_DEVICES`` names them.

    Args:
        processes: where a process comes from that can ask torch: whoever has asked keeps a part of the GPU's memory.

    Raises:
        RunFailed: if torch cannot be asked.
    """
    mine, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=_count, args=(theirs,))
    process.start()
    theirs.close()
    try:
        count = mine.recv()
    except EOFError:
        raise RunFailed("torch could not tell how many GPUs there are; train with trainer=cpu") from None
    finally:
        process.join()
        mine.close()
    named = os.environ.get(_VISIBLE)
    return (named.split(",") if named else list(map(str, range(count))))[:count]


def _count(connection: Connection) -> None:
    import torch

    connection.send(torch.cuda.device_count())
