"""The same run again, from whatever recorded it, and whether it gives the same numbers.

wish            what was asked for, and who is told how it goes
facts           what is known of a run, wherever it was recorded
wandb_source    the same, read from Weights & Biases
sources         from what a person typed to the facts
environment     which of the things that change numbers a record does not tell
worktree        the code of the recorded commit, for a while
at_commit       training by that code, in a process of its own (``child`` is that process)
steps           which of the first steps can be compared alone
verdict         where two runs part, and by how much
again           one reproduction, from facts to ``reproduction.json``
report          what came out, in words and as JSON
command         ``attncompare reproduce``
"""

from attncompare.reproduce.verdict import MEASURED_BY_CLOCK

__all__ = ["MEASURED_BY_CLOCK"]
