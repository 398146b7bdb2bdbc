"""From runs to an answer: what may be compared, the table, the page. Reads the record alone; never imports torch.

gathering.py     from paths to runs; what a sweep could not finish is named and left out
options.py       what may be asked for: --tune, --equal, --metric
checks.py        which runs may stand beside each other, and why not
tune.py          each variant at its best learning rate, or any other key
equal.py         each variant at the size at which all have as many parameters
budgets.py       each run where it had spent as many FLOPs, or as much time, as all others
labels.py        what a variant is called
groups.py        runs of one task, grouped by variant, identical models marked
statistics/      estimates, tests, and their correction for many comparisons
tested_items.py  what two variants did on the same test sentences or documents
verdicts.py      which differences are real; sentences.py says it in words
table.py         the rows and their best figures
terminal.py      table and verdicts in the terminal
as_data.py       all of it as JSON
curves.py        training curves as data for plotly
report.py        the page, from the templates and scripts in page/; each page_*.py makes the data of one part
command.py       ``attncompare compare``
"""
