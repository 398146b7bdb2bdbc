"""The commands of the console script ``attncompare``.

Exit codes: 0 done, 1 failed, 2 wrong usage or config; 130, interrupted, is given by :func:`attncompare.cli.main`. Heavy
libraries are imported by the command that needs them, so that help and errors come at once.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NoReturn

from attncompare.cli import heads, models, primer, results, train
from attncompare.cli.process import own_process
from attncompare.errors import AttnCompareError, Refused
from attncompare.registry import unknown
from attncompare.text import printable_lines
from attncompare.training.interrupts import stoppable


def run(arguments: Sequence[str] | None) -> int:
    """Run one command, for None that of this process, and return its exit code; raises KeyboardInterrupt at a signal."""
    try:
        if arguments is not None:
            _command(list(arguments))
        else:
            with own_process():
                try:
                    _command(sys.argv[1:])
                except SystemExit as end:  # where help was asked for
                    if end.code:
                        raise
    except AttnCompareError as error:
        if str(error):
            print(printable_lines(f"error: {error}"), file=sys.stderr)
        return error.exit_code
    return 0


def _command(arguments: list[str]) -> None:
    if arguments[:1] == ["train"]:  # everything behind it is Hydra's
        train.train(arguments[1:])
        return
    if arguments[:1] == ["--version"]:
        print(f"attncompare {version('attncompare')}")
        return
    parser, commands = _parser()
    if not arguments:
        raise Refused(f"which command? valid: {', '.join(commands.choices)}; see attncompare --help")
    if arguments[0] not in commands.choices and not arguments[0].startswith("-"):
        raise Refused(unknown("command", arguments[0], commands.choices))
    parsed = parser.parse_args(arguments)
    with stoppable():
        parsed.command(parsed)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands, as tools that complete words in a shell ask for it."""
    return _parser()[0]


def _parser() -> tuple[argparse.ArgumentParser, Any]:
    what = "What does the choice of attention do to a model, everything else being equal?"
    epilog = "COMMAND --help says more of each, with examples."
    made = _Parser(prog="attncompare", description=what, epilog=epilog)
    made.add_argument("--version", action="store_true", help="show the version and exit")
    commands = made.add_subparsers(metavar="COMMAND")
    for group in (train, results, models, heads, primer):
        group.add_commands(commands)
    return made, commands


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message}; see {self.prog} --help")
