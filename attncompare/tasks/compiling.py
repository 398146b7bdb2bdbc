"""``trainer.compile``: training by kernels that torch.compile makes (Ansel et al. 2024)."""

from collections.abc import Callable

import torch
from torch import Tensor

from attncompare.attention.kernels.build import before_compiling
from attncompare.config import RunConfig
from attncompare.errors import Refused
from attncompare.attention.kernels.build import has_triton as at_hand
from attncompare.attention.kernels.build import cpp_compiler


def require_compiler(config: RunConfig) -> None:
    """Refuse ``trainer.compile`` where nothing compiles for the run's device.

    Raises:
        Refused: if the CPU is to compute and there is no C++ compiler, or a GPU and there is no Triton.
    """
    if not config.trainer.compile:
        return
    on_gpu = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    missing = (
        "triton" if on_gpu and not at_hand() else "a C++ compiler" if not on_gpu and cpp_compiler() is None else None
    )
    if missing:
        raise Refused(
            f"trainer.compile=true: torch.compile needs {missing}, and there is none; set trainer.compile=false"
        )


def compiled(function: Callable[..., Tensor], config: RunConfig) -> Callable[..., Tensor]:
    """Return ``function`` as kernels, made when it is called first.

    The batches of a language model have one shape, so kernels are made for it alone, whatever came before: a resumed run
    has the same. Those of a translation have many, which one kernel serves.
    """
    before_compiling()
    return torch.compile(function, dynamic=config.task.name == "translation")
