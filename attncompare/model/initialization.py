"""Initial values that depend on the seed and on a parameter's own name alone, so that variants share them."""

import hashlib
import math
from collections import Counter
from typing import Any

import torch
from torch import Generator, Tensor, nn

from attncompare.attention import Attention
from attncompare.errors import Refused

GPT2_STD = 0.02


def stable_seed(*parts: object) -> int:
    """Return a 63-bit seed that is the same for the same parts on any machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) >> 1


@torch.no_grad()
def initialize(model: nn.Module, seed: int, scheme: str = "xavier") -> None:
    """Give each parameter of ``model`` its initial value from a generator of its own, keyed by ``seed`` and its name.

    Biases are 0, norms 1, and parameters of modules with a method ``initial_(name, parameter, generator)``, such as
    scores, as that says. The rest:

    - ``xavier``: matrices are Xavier-uniform (Glorot and Bengio 2010), embeddings normal with variance 1/D. Of a recurrent
      layer each gate has a matrix of its own, and those that read the state are orthogonal (Saxe et al. 2014).
    - ``gpt2``: all normal with standard deviation 0.02; matrices whose result is added to the residual stream (the
      output of an attention, and what a module names in ``residual``) have it divided by sqrt(N), N being how many
      there are in their stack (Radford et al. 2019, section 2.3).

    A parameter that only one variant has shifts nothing in the others.

    Raises:
        Refused: if a module has a parameter and no rule for its initial value, or one that gives none or draws from
            elsewhere, so that it would not follow from the seed.
    """
    stds = _gpt2_stds(model) if scheme == "gpt2" else {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            generator = Generator().manual_seed(stable_seed(seed, f"{prefix}.{name}"))
            _fill(module, name, parameter, generator, stds.get(prefix))


def _gpt2_stds(model: nn.Module) -> dict[str, float]:
    """Return the standard deviation of each embedding and each linear map, by its name."""
    added = {
        f"{prefix}.{name}"
        for prefix, module in model.named_modules()
        for name in (("output",) if isinstance(module, Attention) else getattr(module, "residual", ()))
    }
    depth = Counter(name.partition(".")[0] for name in added)
    drawn = (name for name, module in model.named_modules() if isinstance(module, nn.Embedding | nn.Linear))
    return {name: GPT2_STD / math.sqrt(depth[name.partition(".")[0]]) if name in added else GPT2_STD for name in drawn}


def _fill(module: Any, name: str, parameter: Tensor, generator: Generator, std: float | None) -> None:
    match module:
        case _ if hasattr(module, "initial_"):
            drawn_before = torch.get_rng_state()
            parameter.fill_(math.nan)
            module.initial_(name, parameter, generator)
            what = f"{type(module).__name__}.initial_"
            if not parameter.is_meta and parameter.isnan().any():
                raise Refused(f"{what} gives {name} no values: it must fill the parameter itself, in place")
            if not torch.equal(torch.get_rng_state(), drawn_before):
                raise Refused(
                    f"{what} draws {name} from torch's own generator: must draw from the one that it is given"
                )
        case nn.LayerNorm() | nn.RMSNorm():
            parameter.fill_(1.0 if name == "weight" else 0.0)
        case nn.Linear() if name == "bias":
            parameter.zero_()
        case nn.RNNBase() if name.startswith("bias"):
            parameter.zero_()
        case nn.RNNBase():
            fill: Any = nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
            for gate in parameter.split(module.hidden_size):
                fill(gate, generator=generator)
        case nn.Embedding() | nn.Linear() if std is not None:
            nn.init.normal_(parameter, std=std, generator=generator)
        case nn.Embedding():
            nn.init.normal_(parameter, std=module.embedding_dim**-0.5, generator=generator)
        case nn.Linear():
            nn.init.xavier_uniform_(parameter, generator=generator)
        case _:
            raise Refused(
                f"{type(module).__name__} has a parameter {name} but no method initial_ for its initial value"
            )
