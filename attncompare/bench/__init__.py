"""How fast it is, measured side by side: contenders take turns in one run, so that ratios outlive a machine's moods.

contender.py    who takes part, and who is left out and why
rounds.py       turns, warm-up, seconds
spread.py       medians and quartiles, ratios of paired rounds
memory.py       the peak of extra memory of one call, in a process of its own
report.py       what was found: tables of figures, and pictures
values.py       a figure in words
facts.py        machine, threads and versions
options.py      what all benchmarks can be told
devices.py      threads and device
command.py      from a benchmark to the terminal, JSON, markdown and a page
terminal.py, markdown.py, page.py   the forms of a report

attention.py    every score against its peers; attention_wish.py says which and in which sizes, attention_forms.py and
                attention_modules.py are the contenders, attention_errors.py compares them with exact arithmetic
startup.py      how long the console script takes to begin
train.py        whole training steps: which tables there are
train_tables.py     everybody's steps, in turns
overhead.py         what the framework adds to a step
trainings.py, corpora.py    what is trained, and on what
plain_loops.py      who trains: whole runs, and bare loops
apart.py            each in a process of its own, and in turns
decode.py       beam search, with lengths that are fixed (fixed_lengths.py)
peers/          what others would train with
"""
