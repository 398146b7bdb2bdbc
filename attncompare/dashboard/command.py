"""``attncompare dashboard``: serve a folder of runs until Ctrl-C."""

import webbrowser
from pathlib import Path

from attncompare.dashboard.routes import Site
from attncompare.dashboard.server import DashboardServer
from attncompare.dashboard.watch import Watch
from attncompare.errors import Refused


def serve(runs: Path, port: int, open_browser: bool = False) -> None:
    """Show the sweeps and runs below ``runs`` in a browser, until somebody stops it.

    Args:
        runs: a folder of runs; it may be empty as yet.
        port: where to listen; 0: any free port.
        open_browser: open the page too.

    Raises:
        Refused: if there is no such folder, or the port cannot be had.
        KeyboardInterrupt: at Ctrl-C.
    """
    if not runs.is_dir():
        raise Refused(f"{runs}: no such folder; give the one that holds the runs, for example runs")
    with DashboardServer(Site(Watch(runs.resolve())), port) as server:
        print(f"Dashboard of {runs}: {server.url} (Ctrl-C ends it)", flush=True)
        if open_browser:
            webbrowser.open(server.url)
        server.serve_forever()
