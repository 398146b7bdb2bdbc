"""What can go wrong in the middle of a run, in words that say what to do, and what is written for inspection."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save

from attncompare.config import RunConfig
from attncompare.errors import AttnCompareError, RunFailed
from attncompare.record import how_to_resume, is_run, save_weights, write_bytes, write_json
from attncompare.tasks import Task

# The machine's fault, not the run's: it can go on once that is mended.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOENT, errno.ESTALE)
_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory")


def explain(error: BaseException, config: RunConfig, run: Path) -> str | None:
    """Return why a run ended, and how it can go on; None for what has no known reason.

    Args:
        error: what ended it.
        config: the run.
        run: its folder, or where it would be.
    """
    if isinstance(error, AttnCompareError):
        return str(error)
    if _is_out_of_memory(error):
        return out_of_memory(config)
    if isinstance(error, OSError) and error.errno in _DISK:
        again = f"; once that is mended, {how_to_resume(run)}" if is_run(run) else ""
        return f"cannot read or write {error.filename or 'a file'} ({error.strerror}){again}"
    return None


@contextmanager
def explained(config: RunConfig, run: Path) -> Iterator[None]:
    """Let what has a known reason be said as :func:`explain` does.

    Raises:
        RunFailed: with the reason, and the folder where the run has begun.
    """
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        known = explain(error, config, run)
        if known is None:
            raise
        raise RunFailed(f"{run}: {known}" if is_run(run) else known) from None


def out_of_memory(config: RunConfig) -> str:
    """Return what takes memory, with the numbers of ``config``, and what would take less."""
    heads, longest, (key, number) = config.attention.heads, config.task.max_length, config.data.batch
    rows = max(1, config.data.rows_of(longest) // (config.trainer.accumulate * config.trainer.devices))
    attention_map = rows * heads * longest * longest * 4
    return (
        f"out of memory; with {key}={number}, one attention map of B*H*T*S = {rows}*{heads}*{longest}*{longest} numbers "
        f"takes {attention_map / 2**20:.1f} MiB in float32, and each layer and site may hold several; raise "
        f"trainer.accumulate, or lower {key}, task.max_length, attention.heads or the sizes of the backbone"
    )


def save_failure(run: Path, task: Task, step: int) -> str:
    """Write the batch and the weights with which a loss or gradient became NaN or infinite, and say where.

    ``failure/batch.json`` holds the rows as text, ``failure/batch.safetensors`` the tensors as the model got them,
    ``failure/weights.safetensors`` the weights that gave the NaN.
    """
    if task.batch is None:
        return "no batch was seen before"
    folder = run / "failure"
    folder.mkdir(exist_ok=True)
    write_json(folder / "batch.json", {"step": step, "rows": task.readable(task.batch)})
    tensors = {name: value for name, value in task.batch._asdict().items() if isinstance(value, torch.Tensor)}
    write_bytes(folder / "batch.safetensors", save({name: value.cpu().contiguous() for name, value in tensors.items()}))
    save_weights(folder / "weights.safetensors", dict(task.model.named_parameters()))
    return f"the batch and the weights are written to {folder.name}/ for inspection"


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY_WORDS)
