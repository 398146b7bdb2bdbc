"""Weights in files that hold nothing but numbers (safetensors)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from attncompare.config import RunConfig
from attncompare.config.plain_values import safe_json
from attncompare.errors import Refused
from attncompare.record.files import WEIGHTS_LIMIT, digest, read_inside, write_bytes
from attncompare.text import counted

_PREFIX = 8  # bytes of a safetensors file that say how long its header is, which is JSON
_LONGEST_HEADER = 2**24  # bytes; a tensor takes about a hundred
_LARGEST_TABLE = 2**28  # numbers in what a model computes from its sizes, such as sinusoids
_DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64"}


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> str:
    """Write ``weights`` by parameter name, whole or not at all, and return the SHA-256 of the file."""
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    write_bytes(path, content)
    return digest(content)


def load_weights(path: Path, model: nn.Module) -> None:
    """Fill ``model`` with the parameters in ``path``, or refuse a file that is missing, damaged or of another model."""
    weights_from(read_inside(path.parent, path.name, WEIGHTS_LIMIT), path, model)


def weights_from(content: bytes, path: Path, model: nn.Module) -> None:
    """Fill ``model`` with the parameters in ``content``, what :func:`save_weights` wrote to ``path``, or refuse it."""
    _compare(_shapes(content, path), model, path)
    try:
        saved = load(content)
    except SafetensorError as error:
        raise Refused(f"{path}: cannot be read as weights ({str(error).splitlines()[0]})") from None
    if bad := [name for name, tensor in saved.items() if not bool(tensor.isfinite().all())]:
        raise Refused(f"{path}: {bad[0]} holds NaN or infinity")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(saved[name])


def require_weights_of(config: RunConfig, build: Callable[[], nn.Module], content: bytes, path: Path) -> None:
    """Refuse a file of weights that is damaged or not of ``config``, before memory is taken for a model.

    ``build`` makes the model; it is called where tensors have shapes and no numbers. ``path`` is for the message.
    """
    shapes = _shapes(content, path)
    if config.backbone.layers > len(shapes):
        raise Refused(f"{path}: not the weights of this config, which has {counted(config.backbone.layers, 'layer')}")
    try:
        with torch.device("meta"):
            model = build()
    except (RuntimeError, OverflowError, TypeError) as error:  # sizes beyond what a tensor can have
        raise Refused(f"{path}: not the weights of this config ({str(error).splitlines()[0]})") from None
    _compare(shapes, model, path)
    for name, table in model.named_buffers():
        if table.numel() > _LARGEST_TABLE:
            raise Refused(f"{path}: the config asks for {name} of shape {tuple(table.shape)}, too large to be meant")


def _compare(shapes: dict[str, tuple[Any, ...]], model: nn.Module, path: Path) -> None:
    own = {name: (_DTYPES.get(value.dtype), *value.shape) for name, value in model.named_parameters()}
    different = sorted(name for name in own.keys() | shapes.keys() if own.get(name) != shapes.get(name))
    if different:
        count = counted(len(different), "difference")
        raise Refused(f"{path}: not the weights of this config; {count}, first {different[0]}")


def _shapes(content: bytes, path: Path) -> dict[str, tuple[Any, ...]]:
    length = int.from_bytes(content[:_PREFIX], "little")
    if length > min(_LONGEST_HEADER, len(content) - _PREFIX):
        raise Refused(f"{path}: cannot be read as weights (its header claims {length} bytes of {len(content)})")
    header = safe_json(content[_PREFIX : _PREFIX + length], path)
    try:
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        return {name: (entry["dtype"], *entry["shape"]) for name, entry in entries.items()}
    except (AttributeError, KeyError, TypeError):
        raise Refused(f"{path}: cannot be read as weights (its header is no list of tensors)") from None
