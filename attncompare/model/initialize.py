"""Initial values that depend on the seed and on a parameter's own name alone, so that variants share them (C5)."""

import hashlib

import torch
from torch import Generator, Tensor, nn

from attncompare.attention import ScoreFunction


def stable_seed(*parts: object) -> int:
    """Return a 63-bit seed that is the same for the same parts on any machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) >> 1


@torch.no_grad()
def initialize(model: nn.Module, seed: int) -> None:
    """Give each parameter of ``model`` its initial value from a generator of its own, keyed by ``seed`` and its name.

    Matrices are Xavier-uniform (Glorot and Bengio 2010), biases 0, norms 1, embeddings normal with variance 1/D, and
    the parameters of a score function as that says (``initial_``). A parameter that only one variant has shifts nothing
    in the others.
    """
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            generator = Generator().manual_seed(stable_seed(seed, f"{prefix}.{name}"))
            _fill(module, name, parameter, generator)


def _fill(module: nn.Module, name: str, parameter: Tensor, generator: Generator) -> None:
    match module:
        case nn.LayerNorm():
            parameter.fill_(1.0 if name == "weight" else 0.0)
        case nn.Embedding():
            nn.init.normal_(parameter, std=module.embedding_dim**-0.5, generator=generator)
        case nn.Linear() if name == "bias":
            parameter.zero_()
        case nn.Linear():
            nn.init.xavier_uniform_(parameter, generator=generator)
        case ScoreFunction():
            module.initial_(name, parameter, generator)
        case _:
            raise TypeError(f"{type(module).__name__} has a parameter {name} but no rule for its initial value")
