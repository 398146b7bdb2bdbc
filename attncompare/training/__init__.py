"""Training; this file only gives the names of the room until it is rebuilt."""

import importlib
from typing import Any

_HOMES = {"run": ("resume", "train"), "progress": ("Progress",), "interrupts": ("Stop", "on_interrupt", "stoppable")}


def __getattr__(name: str) -> Any:
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"attncompare.training.{home}"), name)
