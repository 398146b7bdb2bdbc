"""What can go wrong in the middle of a run, in words that say what to do, and what is kept for inspection."""

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
from attncompare.training.demands import NOTHING_SEEN, POSITIONS, model_bytes, sizes

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
        return f"out of memory; {memory_formula(config)}"
    if isinstance(error, OSError) and error.errno in _DISK:
        again = f"; once that is mended, {how_to_resume(run)}" if is_run(run) else ""
        return f"cannot read or write {error.filename or 'a file'} ({error.strerror}){again}"
    return None


@contextmanager
def in_words(config: RunConfig, run: Path) -> Iterator[None]:
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


def memory_formula(config: RunConfig) -> str:
    """Return what takes memory, with the numbers of ``config`` and the larger part first, and what would take less."""
    heads, longest, (key, number) = config.attention.heads, config.task.max_length, config.data.batch
    batch = config.data.rows_of(longest)
    values = sizes(config, NOTHING_SEEN)
    *model, _, _ = model_bytes(values, config, NOTHING_SEEN).items()
    what, most = max(model, key=lambda part: part[1])
    names = [key for key in values if key.startswith(("backbone.", "data.tokenizer."))]
    names += ["task.max_length"] * (what == POSITIONS)
    attention_map = batch * heads * longest * longest * 4
    lines = [
        f"with {key}={number}, one attention map of B*H*T*S = {batch}*{heads}*{longest}*{longest} numbers takes "
        f"{attention_map / 2**20:.1f} MiB in float32, and each layer and site may hold several; "
        f"lower {key}, task.max_length or attention.heads",
        f"with {', '.join(f'{name}={values[name]}' for name in names)}, the model takes {most / 2**20:.1f} MiB for {what}; "
        f"lower {' or '.join(names)}",
    ]
    return "; ".join(reversed(lines) if most > attention_map else lines)


def save_failure(run: Path, task: Task) -> str:
    """Write the batch and the weights with which a loss or gradient became NaN or infinite, and say where.

    ``failure/batch.json`` holds the rows as text, ``failure/batch.safetensors`` the tensors as the model got them,
    ``failure/weights.safetensors`` the weights that gave the bad number.
    """
    if task.batch is None:
        return "no batch was seen before"
    folder = run / "failure"
    folder.mkdir(exist_ok=True)
    write_json(folder / "batch.json", {"step": task.step, "rows": task.readable(task.batch)})
    write_bytes(folder / "batch.safetensors", save({k: v.cpu().contiguous() for k, v in task.batch._asdict().items()}))
    save_weights(folder / "weights.safetensors", dict(task.model.named_parameters()))
    return f"the batch and the weights are kept in {folder.name}/ for inspection"


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY_WORDS)
