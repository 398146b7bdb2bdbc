"""Checkpoints: all that the future of a run depends on, in a file without pickle, and the weights that are kept.

Lightning saves and restores the loops, the optimizer, the schedule, the loader's place and the callbacks. To that come
the random states and the rows written so far (:class:`ResumeCheckpoint`); :class:`Weights` keeps best and last weights.
"""

import hashlib
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins import CheckpointIO
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from attncompare.config.plain_values import safe_json
from attncompare.errors import Refused
from attncompare.record import (
    BEST_WEIGHTS,
    LAST_WEIGHTS,
    WEIGHTS_LIMIT,
    digest,
    read_inside,
    save_weights,
    write_bytes,
)
from attncompare.tasks.metrics import Loss, Metric
from attncompare.training.ending import Budget, TrainingStopped
from attncompare.training.interrupts import Stop

FOLDER = "checkpoints"
_SUFFIX = ".ckpt"
_HEADER = 8  # bytes of a safetensors file that say how long its header is, which is JSON


class SafeCheckpointIO(CheckpointIO):
    """Tensors as safetensors, everything else as JSON in the same file: nothing that is read can execute.

    Files are written whole or not at all, and hold a SHA-256 of their content.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write ``checkpoint``: dicts, lists, tuples, tensors, numbers and texts.

        Raises:
            OSError: with ``filename``.
            TypeError: if it holds something else.
        """
        tensors: dict[str, Tensor] = {}
        rest = json.dumps(_plain(dict(checkpoint), tensors))
        Path(path).parent.mkdir(exist_ok=True)
        write_bytes(Path(path), save(tensors, metadata={"rest": rest, "sha256": _digest(rest, tensors)}))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Return what :meth:`save_checkpoint` wrote to ``path``, on the CPU.

        Raises:
            Refused: if the file is missing or damaged.
        """
        path = Path(path)
        content = read_inside(path.parent, path.name, WEIGHTS_LIMIT)
        try:
            tensors = load(content)
            # The library gives tensors alone; the header before them is JSON after its own length, little-endian.
            length = int.from_bytes(content[:_HEADER], "little")
            header = safe_json(content[_HEADER : _HEADER + length], path)["__metadata__"]
            if _digest(header["rest"], tensors) != header["sha256"]:
                raise ValueError("its checksum is another one")
            return _restored(json.loads(header["rest"]), tensors)
        except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise Refused(f"{path}: damaged ({' '.join(str(error).split())})") from None

    def remove_checkpoint(self, path: Any) -> None:
        """Remove the file."""
        Path(path).unlink(missing_ok=True)


class ResumeCheckpoint(Checkpoint):
    """Writes a checkpoint before each validation, stops training where that is asked for, and goes on from there.

    A checkpoint stands before its validation, so a run stopped while it validates loses nothing; a resumed run validates
    first. The one before it stays too, for the case that a disk damages the newest.

    Args:
        folder: the run's folder.
        budget: knows which steps are validated.
        stop: told when the run shall end early; the optimizer step under way is finished first.
        stop_after: the step after which it shall end as if stopped, where it is not the last; None: the last.
        written: returns what of the record was written so far, as JSON.
    """

    def __init__(
        self,
        folder: Path,
        budget: Budget,
        stop: Stop,
        stop_after: int | None,
        written: Callable[[], dict[str, Any]],
    ) -> None:
        self._folder, self._budget, self._stop, self._stop_after = folder, budget, stop, stop_after
        self._written = written
        self._random: list[dict[str, Any]] | None = None
        self._row: dict[str, float] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Go on with the random numbers, and with the validation that the checkpoint was written before."""
        self._stop.listen()  # Lightning has put a handler of its own in front
        if self._random is None:
            return
        _restore_random_states(self._random[trainer.global_rank], pl_module.device)
        if self._row is not None:
            _log_row(self._row, trainer)
        epochs = trainer.fit_loop.epoch_progress.total
        if epochs.processed == epochs.started:
            # The checkpoint stood at the end of an epoch. Lightning would go on without counting the next one, and find
            # nothing to restore in a checkpoint that was written within it.
            trainer.fit_loop.reset_restart_stage()
        if not self._budget.is_due(trainer.global_step):
            return
        # As Lightning's training loop does after a step; it takes the validation before a checkpoint for done.
        trainer.validating = True
        trainer.fit_loop.epoch_loop.val_loop.restarting = False
        trainer.fit_loop.epoch_loop.val_loop.run()
        trainer.training = True
        trainer.should_stop |= trainer.global_step >= pl_module.last_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Write the checkpoint that is due, or stop after writing one."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        step = trainer.global_step
        asked = self._stop.reason is not None
        if trainer.world_size > 1:  # ranks stop at a step that all of them know
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        stopping = asked or (step == self._stop_after and step < pl_module.last_step)
        if stopping or self._budget.is_due(step):
            pl_module.pause()
            if stopping and pl_module.row.get("step") == step:
                _log_row(pl_module.row, trainer)
                pl_module.row = {}
            trainer.save_checkpoint(checkpoint_file(self._folder, step))
            files = checkpoint_files(self._folder)
            up_to_here = [file for file in files if _step_of(file) <= step]
            # Newer ones were damaged, so that the run went on from before them.
            for other in [*set(files).difference(up_to_here), *up_to_here[2:]]:
                trainer.strategy.remove_checkpoint(other)
        if stopping:
            raise TrainingStopped

    def on_validation_batch_start(self, *_: Any) -> None:
        """Stop between two batches of a validation; the checkpoint before it is written."""
        if self._stop.reason is not None:
            raise TrainingStopped

    on_test_batch_start = on_validation_batch_start

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Add the random states of all ranks, and what of the record was written."""
        states: list[Any] = [_random_states(pl_module.device)]
        if trainer.world_size > 1:
            states = [None] * trainer.world_size
            torch.distributed.all_gather_object(states, _random_states(pl_module.device))
        checkpoint["random"], checkpoint["record"] = states, self._written()
        # Lightning hands a row to the loggers after the end of the batch, which is after the checkpoint.
        checkpoint["row"] = pl_module.row if pl_module.row.get("step") == trainer.global_step else None

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        """Keep the random states until training starts.

        Raises:
            Refused: if another number of processes wrote it.
        """
        self._random, self._row = checkpoint["random"], checkpoint["row"]
        if len(self._random) != trainer.world_size:
            raise Refused(
                f"{self._folder}: {len(self._random)} processes wrote its checkpoint, not {trainer.world_size}"
            )


def _log_row(row: dict[str, float], trainer: Trainer) -> None:
    """Hand a row of training metrics to the loggers where Lightning does not get to it."""
    for logger in trainer.loggers:
        logger.log_metrics({name: value for name, value in row.items() if name != "step"}, trainer.global_step)


class Weights(Checkpoint):
    """Keeps the weights of the best validation, of the last validation, and of the last few where a mean is asked for.

    Plain safetensors by parameter name. Lightning's ``WeightAveraging`` averages while it trains, so that it cannot give
    the mean of the last validations (Vaswani et al. 2017, section 6.1: "averaging the last 5 checkpoints").

    Args:
        folder: the run's folder.
        average_last: of how many validations the mean is wanted; None: of none.
        monitor: the metric whose value on val says which validation is the best; of equal ones the first.

    Attributes:
        best_value, best_step: of the best validation so far.
        validated_step: the step of the last validation.
        sha256: of the file of the last weights.
        steps: of the weights that are averaged.
    """

    def __init__(self, folder: Path, average_last: int | None, monitor: type[Metric] = Loss) -> None:
        self._folder, self._average_last, self._monitor = folder, average_last, monitor
        self.best_value, self.best_step, self.validated_step, self.sha256 = math.nan, 0, 0, ""
        self.steps: list[int] = []
        self._digests: dict[int, str] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write the weights of a validation that belongs to training."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        step, value, best = (
            trainer.global_step,
            trainer.callback_metrics[f"val/{self._monitor.name}"].item(),
            self.best_value,
        )
        self.validated_step = step
        # The first has a place even where its value is NaN, as that of a metric without items: a run needs some weights.
        better = math.isnan(best) or (value > best if self._monitor.higher_is_better else value < best)
        if better:
            self.best_value, self.best_step = value, step
        if self._average_last:
            self.steps = [*(one for one in self.steps if one < step), step][-self._average_last :]
        if not trainer.is_global_zero:
            return
        weights = dict(pl_module.model.named_parameters())
        (self._folder / FOLDER).mkdir(exist_ok=True)
        self.sha256 = save_weights(self._folder / LAST_WEIGHTS, weights)
        if better:
            save_weights(self._folder / BEST_WEIGHTS, weights)
        if self._average_last:
            self._digests = {one: self._digests[one] for one in self.steps[:-1]} | {
                step: save_weights(self._snapshot(step), weights)
            }
            # One more than is averaged stays, for a run that goes on from the checkpoint before this validation.
            for file in self._snapshots()[: -self._average_last - 1]:
                file.unlink()

    def mean(self) -> dict[str, Tensor]:
        """Return the mean of the last weights in float32, reading one file at a time.

        Raises:
            Refused: if one is missing or is not what was written.
        """
        mean: dict[str, Tensor] = {}
        for number, step in enumerate(self.steps, 1):
            file = self._snapshot(step)
            content = read_inside(file.parent, file.name, WEIGHTS_LIMIT)
            if digest(content) != self._digests[step]:
                raise Refused(f"{file}: not what was written, and the average of trainer.average_last needs it")
            for name, tensor in load(content).items():
                before = mean.get(name, torch.zeros((), dtype=torch.float32))
                mean[name] = before + (tensor.float() - before) / number
        return mean

    def state_dict(self) -> dict[str, Any]:
        """Return what is known of the weights that stand in files."""
        best = [self.best_value, self.best_step]
        return {"best": best, "validated_step": self.validated_step, "steps": self.steps, "digests": self._digests}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go back to :meth:`state_dict`."""
        self.best_value, self.best_step = state_dict["best"]
        self.validated_step, self.steps = state_dict["validated_step"], list(state_dict["steps"])
        self._digests = dict(state_dict["digests"])

    def _snapshot(self, step: int) -> Path:
        return self._folder / FOLDER / f"snapshot-{step:07d}.safetensors"

    def _snapshots(self) -> list[Path]:
        return sorted((self._folder / FOLDER).glob("snapshot-*.safetensors"), key=_step_of)


def checkpoint_file(run: Path, step: int) -> Path:
    """Return where the checkpoint after ``step`` stands."""
    return run / FOLDER / f"resume-{step:07d}{_SUFFIX}"


def checkpoint_files(run: Path) -> list[Path]:
    """Return the checkpoints of a run, the newest first."""
    return sorted((run / FOLDER).glob(f"resume-*{_SUFFIX}"), key=_step_of, reverse=True)


def _step_of(file: Path) -> int:
    return int(file.stem.rpartition("-")[2])


def newest_checkpoint(run: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the newest checkpoint of a run that is whole, and its content; None where there is none."""
    for file in checkpoint_files(run):
        try:
            return file, SafeCheckpointIO().load_checkpoint(file)
        except Refused:
            continue
    return None


def remove_checkpoints(run: Path) -> None:
    """Remove what a finished run needs no more."""
    for file in [*checkpoint_files(run), *(run / FOLDER).glob("snapshot-*.safetensors")]:
        file.unlink(missing_ok=True)


def training_state_digest(trainer: Trainer, task: LightningModule) -> str:
    """Return a SHA-256 of weights, optimizer and random state at the end of training."""
    tensors: dict[str, Tensor] = {}
    state = {"model": dict(task.model.named_parameters()), "optimizer": trainer.optimizers[0].state_dict()}
    rest = json.dumps(_plain(state | {"random": torch.get_rng_state()}, tensors))
    return _digest(rest, tensors)


def seed_all(seed: int) -> None:
    """Seed every global generator."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def _random_states(device: torch.device) -> dict[str, Any]:
    """Return the states of all generators that a model or an installed part may draw from."""
    state: Any = np.random.get_state(legacy=False)
    bits = {**state["state"], "key": torch.from_numpy(state["state"]["key"].astype(np.int64))}
    return {
        "cpu": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state(device)] if device.type == "cuda" else [],
        "python": random.getstate(),
        "numpy": {**state, "state": bits},
    }


def _restore_random_states(states: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and states["cuda"]:
        torch.cuda.set_rng_state(states["cuda"][0], device)
    random.setstate(states["python"])
    state = states["numpy"]
    np.random.set_state({**state, "state": {**state["state"], "key": state["state"]["key"].numpy().astype(np.uint32)}})


def _plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return ``value`` as JSON values, each collection and tensor behind its kind; tensors go to ``tensors``."""
    match value:
        case Tensor():
            name = str(len(tensors))
            tensors[name] = value.detach().cpu().contiguous().clone()  # clones, because views share memory
            return ["tensor", name]
        case dict():
            return ["dict", [[_plain(key, tensors), _plain(item, tensors)] for key, item in value.items()]]
        case list() | tuple():
            return ["tuple" if isinstance(value, tuple) else "list", [_plain(item, tensors) for item in value]]
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"a checkpoint holds plain values and tensors, no {type(value).__name__}")


def _restored(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, list):
        return value
    kind, content = value
    match kind:
        case "tensor":
            return tensors[content]
        case "dict":
            return {_restored(key, tensors): _restored(item, tensors) for key, item in content}
        case "list":
            return [_restored(item, tensors) for item in content]
        case "tuple":
            return tuple(_restored(item, tensors) for item in content)
    raise ValueError(f"unknown kind '{kind}'")


def _digest(rest: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(rest.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
