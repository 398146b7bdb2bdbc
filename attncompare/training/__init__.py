"""From a config to a finished run: Lightning's trainer with our checkpoints, budget, record and failures.

run.py         training a new run, or going on with an unfinished one
ending.py      when training ends
checkpoint.py  checkpoints without pickle, the weights that are kept, random states
interrupts.py  Ctrl-C and SIGTERM
failures.py    what went wrong, in words
memory.py      peak memory
progress.py    where a run stands, and the plain lines that say it
progress_callbacks.py  who tells it inside Lightning's loops: the bar, or a function
"""

import importlib
from typing import Any

_HOMES = {
    "run": ("evaluate", "make_trainer", "resume", "train"),
    "ending": ("Course",),
    "progress": ("OnProgress", "Progress"),
    "interrupts": ("Stop", "first_interrupt_for_good", "on_interrupt", "stoppable"),
    "failures": ("out_of_memory",),
}
__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name: str) -> Any:
    """Import torch and Lightning only when something that needs them is asked for."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"attncompare.training.{home}"), name)
    raise AttributeError(f"module 'attncompare.training' has no attribute '{name}'")
