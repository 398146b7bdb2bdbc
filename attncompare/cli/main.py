"""The console script ``attncompare`` (C11).

Exit codes: 0 done, 1 failed, 2 wrong usage or config, 130 interrupted. Heavy libraries are imported by the command that
needs them, so that help and config errors come at once.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from attncompare.cli.arguments import given, path
from attncompare.cli.decoding import add_decoding
from attncompare.cli.train import train
from attncompare.cli.views import add_views
from attncompare.cli.collection import importing
from attncompare.errors import AttnCompareError, Refused
from attncompare.registry import unknown
from attncompare.cli.streams import own_streams
from attncompare.training.interrupts import first_interrupt_for_good

INTERRUPTED = 130
_RECORDS = "folder of a run or a sweep, config.yaml, reference/NAME, W&B path entity/project/run, or offline W&B folder"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        if arguments is not None:
            _command(list(arguments))
        else:  # the process is ours
            _command_in_a_process(sys.argv[1:])
    except AttnCompareError as error:
        if str(error):
            print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _command_in_a_process(arguments: list[str]) -> None:
    first_interrupt_for_good()
    own_streams()
    try:
        try:
            _command(arguments)
        except SystemExit as end:  # where help was asked for
            if end.code:
                raise
        sys.stdout.flush()  # here, because Python's own end tells nobody what was lost
    finally:
        # Else a late Ctrl-C could still kill Python while it takes itself apart, and change the exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _command(arguments: list[str]) -> None:
    if arguments[:1] == ["train"]:  # everything behind it is Hydra's
        train(arguments[1:])
        return
    if arguments[:1] == ["--version"]:
        print(f"attncompare {version('attncompare')}")
        return
    parser, commands = _parser()
    if not arguments:
        raise Refused(f"which command? valid: {', '.join(commands)}; see attncompare --help")
    if arguments[0] not in commands and not arguments[0].startswith("-"):
        raise Refused(unknown("command", arguments[0], commands))
    parsed = parser.parse_args(arguments)
    parsed.command(parsed)


class _Parser(argparse.ArgumentParser):
    """Refuses in one line, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message}; see {self.prog} --help")


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """Return the parser, and the names of the commands."""
    parser = _Parser(
        prog="attncompare",
        description="What does the choice of attention do to a model, everything else being equal?",
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND")
    commands.add_parser("train", help="train one model, or with -m one for each combination of values", add_help=False)

    sweeps = commands.add_parser("sweeps", help="list the sweeps in a folder: what each varies, and how far it is")
    where = "folder of runs, or of one sweep (default: runs)"
    sweeps.add_argument("runs", nargs="?", type=path, default=Path("runs"), metavar="RUNS", help=where)
    sweeps.add_argument("--json", action="store_true", help="print all that is known of them as JSON")
    sweeps.set_defaults(command=_sweeps)

    compare = commands.add_parser("compare", help="compare finished runs: a table, and a page with curves and maps")
    compare.add_argument("runs", nargs="+", type=path, metavar="RUN", help="folders of runs, or of a sweep")
    compare.add_argument("--html", type=path, metavar="FILE", help="where to write the page")
    compare.add_argument("--json", type=path, metavar="FILE", help="write all figures and verdicts as data, too")
    compare.add_argument("--force", action="store_true", help="compare runs that differ in more than their attention")
    best = "give each variant its best value of KEY by val loss, e.g. optimizer.lr; may be repeated"
    compare.add_argument("--tune", action="append", default=[], metavar="KEY", help=best)
    spent = "compare at equal parameters, training FLOPs or training time"
    compare.add_argument("--equal", choices=("parameters", "flops", "time"), help=spent)
    only = "compare in one metric alone; bits_per_byte, bleu, chrf and exact_match also between tokenizers"
    compare.add_argument("--metric", metavar="NAME", help=only)
    shown = "show page, table and verdicts in W&B, too, as the runs were: online, or in a folder for wandb sync"
    compare.add_argument("--wandb", action="store_true", help=shown)
    compare.set_defaults(command=_compare)

    again = commands.add_parser("reproduce", help="train a run again from its record and compare the numbers")
    again.add_argument("record", type=given, metavar="RUN", help=_RECORDS)
    again.add_argument("--steps", type=int, metavar="N", help="train and compare only the first N steps")
    smaller = "relative difference up to which two metrics count as equal (default: 0.001)"
    again.add_argument("--tolerance", type=float, metavar="X", help=smaller)
    elsewhere = "another value of a key of the run's data: where its files stand here, path=FOLDER; may be repeated"
    again.add_argument("--data", action="append", default=[], metavar="KEY=VALUE", help=elsewhere)
    again.add_argument("--runs", type=given, default="runs", metavar="FOLDER", help="where new runs go (default: runs)")
    again.set_defaults(command=_reproduce)

    upload = commands.add_parser("upload", help="show recorded runs in W&B, from their records alone")
    upload.add_argument("runs", nargs="+", type=path, metavar="RUN", help="folders of runs, or of a sweep")
    offline = "send nothing: build the folder in RUN/wandb anew, for wandb sync"
    upload.add_argument("--offline", action="store_true", help=offline)
    upload.set_defaults(command=_upload)

    attend = commands.add_parser("attend", help="show the attention maps of a trained run for a new sentence")
    attend.add_argument("run", type=path, metavar="RUN", help="the folder of a finished run")
    attend.add_argument("sentence", help="a source sentence, or a text for a language model")
    attend.add_argument("--layer", type=int, metavar="N", help="layer, from 1 (default: the last)")
    attend.add_argument("--head", type=int, metavar="N", help="head, from 1 (default: all)")
    page = "where to write the page (default: RUN/maps/attend.html)"
    attend.add_argument("--html", type=path, metavar="FILE", help=page)
    attend.set_defaults(command=_attend)
    add_decoding(commands)
    add_views(commands)
    return parser, list(commands.choices)


def _sweeps(parsed: argparse.Namespace) -> None:
    from attncompare.sweep.listing import print_sweeps

    print_sweeps(parsed.runs, as_json=parsed.json)


def _compare(parsed: argparse.Namespace) -> None:
    from attncompare.compare.command import compare
    from attncompare.compare.options import Options

    options = Options(tuple(dict.fromkeys(parsed.tune)), parsed.equal, parsed.metric)
    compare(parsed.runs, parsed.html, parsed.force, data=parsed.json, options=options, wandb=parsed.wandb)


def _reproduce(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.reproduce import command

    tolerance = {} if parsed.tolerance is None else {"tolerance": parsed.tolerance}
    options = {"steps": parsed.steps, "runs": parsed.runs, "data": parsed.data}
    command.run(parsed.record, **options, **tolerance)


def _upload(parsed: argparse.Namespace) -> None:
    from attncompare.wandb_logging.upload import upload

    upload(parsed.runs, offline=parsed.offline, on_run=lambda run, where: print(f"{run.path}: {where}"))


def _attend(parsed: argparse.Namespace) -> None:
    from rich.console import Console

    from attncompare.record import require_replaceable, write_text
    from attncompare.maps.page import MapSeries, maps_page
    from attncompare.maps.terminal import print_maps
    from attncompare.inference.trained import load

    if parsed.html and not parsed.html.parent.is_dir():
        raise Refused(f"--html {parsed.html}: there is no folder {parsed.html.parent}")
    trained = load(parsed.run)
    page = parsed.html or trained.run.path / "maps" / "attend.html"
    require_replaceable(page, f"--html {page}")
    maps = trained.attention(parsed.sentence)
    print_maps(Console(), maps, parsed.layer, parsed.head)
    series = MapSeries(trained.run.config.attention.name, [(trained.step, [maps])])
    try:
        page.parent.mkdir(exist_ok=True)  # a run without probes has no maps of its own
        write_text(page, maps_page(maps.text, [series]))
    except OSError as error:
        raise Refused(f"--html {page}: cannot write there ({error.strerror})") from None
    print(f"page: {page}")


if __name__ == "__main__":
    sys.exit(main())
