"""Types of arguments on the command line, and options that several commands share."""

import argparse
import math
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def given(text: str) -> str:
    """Return ``text``; an empty one would silently stand for the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def path(text: str) -> Path:
    """Return ``text`` as a path that the system can look up, whether something is there or not."""
    where = Path(given(text))
    try:
        where.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # the command says what it needs there
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    return where


def port(text: str) -> int:
    """Return ``text`` as a port of this machine; 0 stands for any free one."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text}: no port; valid: a whole number up to 65535, 0 for any free one")
    return int(text)


def margin(text: str) -> tuple[str, float]:
    """Return ``text``, such as "loss=0.005", as a metric and a positive number."""
    metric, _, number = text.partition("=")
    try:
        size = float(number)
    except ValueError:
        size = 0.0
    if not (metric and 0 < size < math.inf):
        raise argparse.ArgumentTypeError(f"{text}: no margin; valid: METRIC=X with a positive number, e.g. loss=0.005")
    return metric, size


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], None],
    what: str,
    more: str = "",
    examples: Sequence[str] = (),
) -> argparse.ArgumentParser:
    """Add the command ``name`` to the console script's and return its parser.

    ``what`` it does and ``more`` are its description, below the options stand ``examples``, without the script's name."""
    shown = "\n".join(f"  attncompare {name} {example}" for example in examples)
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=textwrap.fill(f"{what[0].upper()}{what[1:]}. {more}", 100),
        epilog=f"examples:\n{shown}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=run)
    return parser


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Add the runs that a command reads."""
    parser.add_argument("runs", nargs="+", type=path, metavar="RUN", help="folders of runs, or of a sweep")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the one run that a command asks, and which of its weights answer."""
    parser.add_argument("run", type=path, metavar="RUN", help="the folder of a finished run")
    add_checkpoint(parser)


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add which of a run's weights answer."""
    which = "which weights of the run (default: those that it was tested with)"
    parser.add_argument("--checkpoint", choices=("best", "last", "averaged"), help=which)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add other values for the run's data."""
    change = "another value of a key of the run's data, e.g. path=FOLDER; may be repeated"
    parser.add_argument("--data", action="append", default=[], metavar="KEY=VALUE", help=change)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the file that gets the results as data."""
    parser.add_argument("--json", type=path, metavar="FILE", help="write all figures as data, too")
