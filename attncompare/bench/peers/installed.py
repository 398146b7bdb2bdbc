"""The libraries that only benchmarks need: an extra, so that they may not be there."""

import importlib
import os
from types import ModuleType

from attncompare.bench.contender import LeftOut

INSTALL = "pip install 'attncompare[bench]'"


def library(name: str) -> ModuleType:
    """Return the library of that name.

    Raises:
        LeftOut: with the command that installs it.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched: all weights are random
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LeftOut(f"{name} is not installed ({error.name or error}); install it by: {INSTALL}") from None
