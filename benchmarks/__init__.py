"""Speed and memory beside peers, in plain scripts that print markdown: ``python -m benchmarks.NAME --help``.

measure.py    work in turns, medians with intervals, peak memory, tables
models.py     what is trained, and the peers that it is trained beside
attention.py  every score beside its formula, torch.compile of it and torch's own attention: time, memory, error
train.py      whole training steps beside the same model in other libraries and by hand
overhead.py   what a step of training takes beyond the loop by hand
decode.py     beam search beside Hugging Face's, and what the cache of keys and values is worth
startup.py    how soon a command begins
waiting.py    what the waiting of OpenMP's threads costs
kernels.py    what each compiled kernel gains of a whole training step, or of beam search
"""

import attncompare  # noqa: F401  (before torch, as the command does: it says how OpenMP's threads wait)
