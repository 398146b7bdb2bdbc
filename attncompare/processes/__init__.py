"""One run, several processes: each batch is shared among them (Lightning's ``ddp``), ``trainer.devices`` in all.

The process that the user started is the first. It alone has the record, the lock, W&B, the checkpoints and the board,
and it alone validates, tests and writes; the others train beside it and know only the config. They are started from here,
from that config: no command line is run a second time, so a sweep cannot start itself again.

deaths.py     in words how a process ended
output.py     what a process says goes to a file
group.py      how processes join to train as one
fitting.py    the Lightning trainer, the same in all of them
others.py     the others, as the first process sees them
following.py  what another process does, from its start to its end
"""
