"""The commands that show runs elsewhere: ``dashboard`` in a browser, ``wandb-report`` in W&B."""

import argparse
from pathlib import Path
from typing import Any

from attncompare.cli.arguments import path
from attncompare.errors import Refused

_LARGEST_PORT = 2**16 - 1


def add_views(commands: Any) -> None:
    """Add both commands to the console script's ``commands``."""
    what = "build a workspace and a report in W&B for the runs of a sweep"
    absent = "Without a login or a network nothing is created: the plan of both is printed, and the exit code is 0."
    views = commands.add_parser("wandb-report", help=what, description=f"{what[0].upper()}{what[1:]}. {absent}")
    views.add_argument("runs", nargs="+", type=path, metavar="RUN", help="folders of runs, or of a sweep")
    views.add_argument("--offline", action="store_true", help="create nothing: print what would be created")
    views.set_defaults(command=_wandb_report)

    board = commands.add_parser("dashboard", help="watch a folder of runs in a browser while training goes on")
    board.add_argument("runs", nargs="?", default=Path("runs"), type=path, metavar="FOLDER", help="default: runs")
    port = "where to listen on this machine; 0: any free one (default: 8321)"
    board.add_argument("--port", default="8321", metavar="N", help=port)
    board.add_argument("--open", action="store_true", help="open the page in a browser, too")
    board.set_defaults(command=_dashboard)


def _wandb_report(parsed: argparse.Namespace) -> None:
    from attncompare.wandb_logging.report_command import build

    build(parsed.runs, offline=parsed.offline)


def _dashboard(parsed: argparse.Namespace) -> None:
    from attncompare.dashboard.command import serve

    serve(parsed.runs, _port(parsed.port), open_browser=parsed.open)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= _LARGEST_PORT):
        raise Refused(f"--port {text}: no port; valid: a whole number up to {_LARGEST_PORT}, 0 for any free one")
    return int(text)
