"""attncompare: what does the choice of attention do to a model, everything else being equal?

Shapes, everywhere: B batch, T query positions, S key positions, D model width, H heads, K width of a head, V vocabulary,
N a flat batch of whatever its file says. Tensors carry their shape as a suffix, ``q_BHTK``. ``scores`` are before the
softmax, ``weights`` after it and before dropout, ``context`` is weights @ values, ``output`` comes after the output
projection.

Each folder is a room, which imports only from those above it: errors, registry and text; config; attention; model; data;
decoding; tasks; record; maps; wandb_logging; training; compare; sweep; reproduce; inference; dashboard; primer; cli.
``docs/architecture.md`` follows one batch through them.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import version

    from attncompare import compare, primer
    from attncompare.attention import Attention, ScoreFunction, attend
    from attncompare.cli.notebook import train
    from attncompare.inference.trained import TrainedRun, Translated, TranslatedText, load

    __version__ = version("attncompare")

__all__ = [
    "Attention",
    "ScoreFunction",
    "TrainedRun",
    "Translated",
    "TranslatedText",
    "__version__",
    "attend",
    "compare",
]
__all__ += ["load", "primer", "train"]

_HOMES = {
    **dict.fromkeys(("Attention", "ScoreFunction", "attend"), "attncompare.attention"),
    **dict.fromkeys(("TrainedRun", "Translated", "TranslatedText", "load"), "attncompare.inference.trained"),
    "train": "attncompare.cli.notebook",
}

# OpenMP reads these when torch is imported (docs/performance.md): by default its threads wait for work by spinning for
# milliseconds, on cores that others want. They are of the OpenMP that comes with torch: GNU's on Linux, Intel's or LLVM's
# elsewhere. Whatever the user has set of OpenMP's waiting stands.
_BUSY = hasattr(os, "getloadavg") and os.getloadavg()[0] > (os.cpu_count() or 1) / 2
WAITING = {"GOMP_SPINCOUNT": "1000" if _BUSY else "10000", "KMP_BLOCKTIME": "0"}
if "torch" not in sys.modules and not {"OMP_WAIT_POLICY", *WAITING} & os.environ.keys():
    os.environ.update(WAITING)


def __getattr__(name: str) -> Any:
    """Import torch only when something that needs it is asked for, so that ``attncompare --help`` is quick."""
    if name == "__version__":
        from importlib.metadata import version

        return version("attncompare")
    if name in ("compare", "primer"):  # rooms, which can be called
        return importlib.import_module(f"attncompare.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'attncompare' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return what there is before it is imported, too."""
    return sorted({*globals(), *__all__})
