"""Weights in files that hold nothing but numbers (safetensors)."""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from attncompare.errors import Refused
from attncompare.tracking.files import write_bytes


def save_weights(path: Path, model: nn.Module) -> str:
    """Write the parameters of ``model``, whole or not at all, and return the SHA-256 of the file."""
    content = save({name: parameter.detach().cpu().contiguous() for name, parameter in model.named_parameters()})
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def load_weights(path: Path, model: nn.Module) -> None:
    """Fill ``model`` with the parameters in ``path``.

    Raises:
        Refused: if the file is missing, damaged or of another model.
    """
    try:
        saved = load_file(path)
    except (OSError, SafetensorError) as error:
        raise Refused(f"{path}: cannot be read as weights ({str(error).splitlines()[0]})") from None
    own = dict(model.named_parameters())
    shapes, saved_shapes = ({name: value.shape for name, value in part.items()} for part in (own, saved))
    different = sorted(name for name in own.keys() | saved.keys() if shapes.get(name) != saved_shapes.get(name))
    if different:
        raise Refused(f"{path}: not the weights of this config; {len(different)} differ, first {different[0]}")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(saved[name])
