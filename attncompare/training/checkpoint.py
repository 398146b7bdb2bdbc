"""Resume checkpoints: all that the future of a run depends on, in files that cannot execute anything.

A checkpoint is one safetensors file: its tensors, and in its header the plain values around them as JSON, with a SHA-256
over both. Nothing is pickled, so nothing that a file says can run. The newest two are kept: the one before the newest
serves where that is damaged.
"""

import hashlib
import json
import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from attncompare.errors import Refused, RunFailed
from attncompare.record import WEIGHTS_LIMIT, read_inside, write_bytes

log = logging.getLogger("attncompare")

FOLDER = "checkpoints"
_PATTERN = "resume-*.safetensors"
_KEPT = 2
_FORMAT = "1"
_LIMIT = 4 * WEIGHTS_LIMIT  # weights, two means of gradients, and the best weights
_SHORTEST = 8  # bytes of a safetensors file that say how long its header is


def save_checkpoint(run: Path, step: int, state: dict[str, Any]) -> None:
    """Write ``state`` at optimizer step ``step``, read it back, and then remove all but the newest two.

    Args:
        run: the run's folder.
        step: optimizer steps done.
        state: dicts, lists, tuples, texts, numbers, booleans, None and tensors, nested at will.

    Raises:
        OSError: if it cannot be written; the checkpoints before it are still there.
        RunFailed: if what stands on the disk then is not what was written.
    """
    name = f"{FOLDER}/resume-{step:07d}.safetensors"
    (run / FOLDER).mkdir(exist_ok=True)
    content = pack(state, step)
    write_bytes(run / name, content)
    if (run / name).read_bytes() != content:
        raise RunFailed(f"{run / name}: the disk does not give back what was written")
    files = _files(run)
    # Those of later steps belong to a future that was given up: the run began anew, or from an older one.
    mine = [file for file in files if _step(file) <= step]
    for file in {*files} - {*mine[:_KEPT]}:
        file.unlink(missing_ok=True)


def load_checkpoint(run: Path) -> tuple[int, dict[str, Any]] | None:
    """Return the step and the state of the newest checkpoint that is whole, None where there is none.

    A damaged one is named in the log, and the one before it is taken, if there is one.

    Raises:
        Refused: if one is there and the disk does not give it: it may be whole.
    """
    files = _files(run)
    for number, file in enumerate(files):
        last = number + 1 == len(files)
        instead = "there is none before it: begins at step 0" if last else "the checkpoint before it is tried"
        if file.is_symlink() or not file.is_file():
            log.warning("%s is no plain file; %s", file, instead)
            continue
        content = read_inside(run, f"{FOLDER}/{file.name}", _LIMIT)
        try:
            return _step(file), unpack(content, _step(file))
        except (
            SafetensorError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
            struct.error,
        ) as error:
            log.warning("%s is damaged (%s); %s", file, str(error).splitlines()[0], instead)
    return None


@contextmanager
def of_this_run(run: Path) -> Iterator[None]:
    """Say in one line if a state does not fit: a checkpoint of another run or version.

    Raises:
        Refused: instead of what went wrong.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise Refused(f"{run}: its checkpoint is not one of this run ({reason})") from None


def remove_checkpoints(run: Path) -> None:
    """Remove all resume checkpoints: the run is finished."""
    for file in _files(run):
        file.unlink(missing_ok=True)


def state_digest(state: dict[str, Any]) -> str:
    """Return a SHA-256 of ``state``: of every value and every bit of its tensors."""
    tensors: dict[str, Tensor] = {}
    values = json.dumps(_plain(state, tensors))
    return _digest(values, tensors)


def _files(run: Path) -> list[Path]:
    """Return the checkpoints, newest first."""
    files = [file for file in (run / FOLDER).glob(_PATTERN) if file.stem.removeprefix("resume-").isdecimal()]
    return sorted(files, key=_step, reverse=True)


def _step(file: Path) -> int:
    return int(file.stem.removeprefix("resume-"))


def pack(state: dict[str, Any], step: int) -> bytes:
    """Return ``state`` as :func:`save_checkpoint` writes it; also how it goes from one process to another."""
    tensors: dict[str, Tensor] = {}
    values = json.dumps(_plain(state, tensors))
    return save(tensors, {"format": _FORMAT, "step": str(step), "values": values, "sha256": _digest(values, tensors)})


def unpack(content: bytes, step: int) -> dict[str, Any]:
    """Return the state in ``content``, what :func:`pack` made of it.

    Raises:
        SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error: if it is damaged.
    """
    tensors = load(content)
    # The library gives tensors only; the header before them is JSON after its own length, 8 bytes little-endian.
    (length,) = struct.unpack("<Q", content[:_SHORTEST])
    header = json.loads(content[_SHORTEST : _SHORTEST + length])["__metadata__"]
    if header["format"] != _FORMAT:
        raise ValueError(f"format {header['format']}, this version reads {_FORMAT}")
    if header["step"] != str(step):
        raise ValueError(f"it is that of step {header['step']}")
    if _digest(header["values"], tensors) != header["sha256"]:
        raise ValueError("its checksum is another one")
    return _restored(json.loads(header["values"]), tensors)


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
            return [type(value).__name__, [_plain(item, tensors) for item in value]]
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


def _digest(values: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(values.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
