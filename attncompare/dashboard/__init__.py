"""``attncompare dashboard``: a folder of runs in a browser on this machine, followed while training goes on.

The tables are the dashboard's own; curves, reports and attention maps are those of ``attncompare compare``.

folder.py  the sweeps and runs below a folder, as they stand now
pages.py   from these to pages
server.py  the server: this machine only, reading only
page/      template, style and script
"""

from attncompare.dashboard.server import serve

__all__ = ["serve"]
