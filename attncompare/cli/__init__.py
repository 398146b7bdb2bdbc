"""The console script ``attncompare``: arguments in, text and exit codes out.

commands.py   the parser and the exit codes
process.py    what a process of the script needs: streams, quick imports
arguments.py  types of arguments, and options that several commands share
train.py      train, sweeps
notebook.py   ``attncompare.train`` for Python
results.py    compare, reproduce, dashboard, wandb-report
models.py     attend, translate, transcribe, generate, fill, classify, evaluate
heads.py      heads, ablate
primer.py     primer
"""

import sys
from collections.abc import Sequence

from attncompare.training.interrupts import INTERRUPTED, first_interrupt_for_good, interrupted, no_more_interrupts

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, that of this process by default, and return its exit code.

    Whatever else a command takes is imported later, when signals are heard already.
    """
    try:
        if arguments is not None:
            return _run(arguments)
        first_interrupt_for_good()
        try:
            return _run(None)
        finally:
            no_more_interrupts()  # a late one could kill Python while it takes itself apart, and change the exit code
    except KeyboardInterrupt:
        sys.stderr.write(interrupted())
        return INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    from attncompare.cli.commands import run

    return run(arguments)
