"""The console script ``attncompare``: arguments in, text and exit codes out.

main.py       the parser and the exit codes
process.py    what a process of the script needs: streams, Ctrl-C, quick imports
arguments.py  types of arguments, and options that several commands share
train.py      train, sweeps
results.py    compare, reproduce, dashboard, wandb-report
models.py     attend, translate, generate, evaluate
"""

from attncompare.cli.main import main

__all__ = ["main"]
