"""The command ``primer``: attention in eleven chapters, as one page."""

import argparse
from pathlib import Path
from typing import Any

from attncompare.cli.arguments import add_command, path
from attncompare.cli.process import importing


def add_commands(commands: Any) -> None:
    """Add the command to those of the console script."""
    what = "write a primer on attention, computed by this package, as one page that works offline"
    more = "The models that it shows are trained first, which takes some minutes; those of an earlier call are taken again."
    primer = add_command(commands, "primer", _primer, what, more, ("", "--quick --output primer"))
    primer.add_argument(
        "--quick", action="store_true", help="train the models for some steps only: seconds, and empty maps"
    )
    where = "where the page and the models go (default: runs/primer)"
    primer.add_argument("--output", type=path, default=Path("runs/primer"), metavar="DIR", help=where)
    beside = "write it as Markdown, too, with pictures in the folder beside it that has its name"
    primer.add_argument("--markdown", type=path, metavar="FILE", help=beside)
    primer.add_argument(
        "--notebook", type=path, metavar="FILE", help="write it as a notebook, too, which is not run yet"
    )


def _primer(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.primer.writing import write

    print(write(parsed.output, quick=parsed.quick, markdown=parsed.markdown, notebook=parsed.notebook))
