"""``attncompare dashboard``: a folder of runs in a browser on this machine, refreshed while training goes on.

look.py     one run as it stands now, whatever shape its record is in
watch.py    all sweeps and runs below the folder
curves.py   the curves of running and finished runs, as data for plotly
documents.py  pages that are built from records: reports and maps, kept until a record changes
terminal.py  the command that compares runs which a page does not
routes.py   which address shows what; there are no others
server.py   the server: this machine only, reading only
command.py  ``attncompare dashboard``
page/       templates, style and scripts
"""

from attncompare.dashboard.command import serve

__all__ = ["serve"]
