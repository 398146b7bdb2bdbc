"""The mean of the weights of the last validations (Vaswani et al. 2017, section 6.1: "averaging the last 5 checkpoints")."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor

from attncompare.data.module import DataModule
from attncompare.errors import Refused, RunFailed
from attncompare.record import AVERAGED_WEIGHTS, WEIGHTS_LIMIT, load_weights, read_inside, save_weights
from attncompare.tasks.base import Task

_FOLDER = "checkpoints"
_PATTERN = "snapshot-*.safetensors"


class Snapshots:
    """The weights after each of the last validations, in files beside the run's checkpoints until it has finished.

    One file more is kept than is averaged, for a run that goes on from the checkpoint before its newest.

    Args:
        run: the run's folder.
        last: how many are averaged.
    """

    def __init__(self, run: Path, last: int) -> None:
        self._run, self._last = run, last
        self._sha256: dict[int, str] = {}

    @property
    def steps(self) -> list[int]:
        """Return the optimizer steps of those that are averaged."""
        return list(self._sha256)

    def add(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Write the weights after ``step``, and remove what is too old, or of a future that was given up."""
        self._sha256[step] = save_weights(self._run / _name(step), weights)
        self._sha256 = dict(list(self._sha256.items())[-self._last :])
        files = {_step(file): file for file in _files(self._run)}
        kept = sorted(number for number in files if number <= step)[-self._last - 1 :]
        for number in files.keys() - set(kept):
            files[number].unlink(missing_ok=True)

    def state(self) -> list[list[Any]]:
        """Return step and SHA-256 of each, for a checkpoint."""
        return [[step, sha256] for step, sha256 in self._sha256.items()]

    def restore(self, state: list[list[Any]]) -> None:
        """Go back to :meth:`state`.

        Raises:
            Refused: if a file that the average will need is gone, or is another one.
        """
        # Training ends with a validation, whose weights take the place of the oldest.
        for step, sha256 in state[1:] if len(state) == self._last else state:
            if (why := self._damage(step, sha256)) is not None:
                raise Refused(f"{self._run / _name(step)}: {why}, and the average needs it; train a new run")
        self._sha256 = dict(state)

    def mean(self) -> dict[str, Tensor]:
        """Return the mean of all of them in float32, reading one at a time.

        Raises:
            RunFailed: if one of the files is not what was written.
        """
        mean: dict[str, Tensor] = {}
        for number, (step, sha256) in enumerate(self._sha256.items(), 1):
            if (why := self._damage(step, sha256)) is not None:
                raise RunFailed(f"{self._run / _name(step)}: {why}, and the average needs it")
            for name, tensor in load(self._read(step)).items():
                before = mean.get(name, torch.zeros((), dtype=torch.float32))
                mean[name] = before + (tensor.float() - before) / number
        return mean

    def _read(self, step: int) -> bytes:
        return read_inside(self._run, _name(step), WEIGHTS_LIMIT)

    def _damage(self, step: int, sha256: str) -> str | None:
        try:
            content = self._read(step)
        except Refused:
            return "cannot be read"
        return None if hashlib.sha256(content).hexdigest() == sha256 else "not what was written"


def take_average(
    run: Path, snapshots: Snapshots, task: Task[Any], data: DataModule, check: Callable[[], None]
) -> dict[str, Any]:
    """Write the mean as the run's weights, load it into ``task``, and return its steps and its metrics of val.

    Args:
        run: the run's folder.
        snapshots: what is averaged.
        task: whose model they belong to.
        data: the run's data.
        check: called before each batch; may raise to end the evaluation.
    """
    save_weights(run / AVERAGED_WEIGHTS, snapshots.mean())
    load_weights(run / AVERAGED_WEIGHTS, task.model)
    return {"steps": snapshots.steps, "val": task.evaluate(data, "val", check)}


def remove_snapshots(run: Path) -> None:
    """Remove all of them: the run is finished."""
    for file in _files(run):
        file.unlink(missing_ok=True)


def _name(step: int) -> str:
    return f"{_FOLDER}/snapshot-{step:07d}.safetensors"


def _files(run: Path) -> list[Path]:
    files = (run / _FOLDER).glob(_PATTERN)
    return [file for file in files if file.stem.removeprefix("snapshot-").isdecimal()]


def _step(file: Path) -> int:
    return int(file.stem.removeprefix("snapshot-"))
