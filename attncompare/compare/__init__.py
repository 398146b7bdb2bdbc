"""From runs to an answer: what may be compared, the table, the page. Reads the record alone; never imports torch.

checks.py   which runs may stand beside each other, and why not
groups.py   runs of one task, grouped by variant, identical models marked
table.py    the rows, their best figures, and the table in the terminal
curves.py   training curves as data for plotly
report.py   the page: template report.html.j2, plotly, and the viewer of tracking/
command.py  ``attncompare compare``
"""
