"""The commands that show and check results: ``compare``, ``reproduce``, ``dashboard``, ``wandb-report``."""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from attncompare.cli.arguments import add_command, add_data, add_json, add_runs, given, margin, path, port
from attncompare.cli.process import importing

_RECORDS = "folder of a run or a sweep, config.yaml, reference/NAME, or W&B path entity/project/run"

_TABLES = {"csv": "CSV, a row for each figure", "latex": "LaTeX in the style of booktabs", "markdown": "markdown"}


def add_commands(commands: Any) -> None:
    """Add the commands to those of the console script."""
    what = "compare finished runs: a table, and a page with curves and maps"
    more = "Which differences are real is decided over seeds; from one seed nothing is."
    examples = ("runs/2026-01-31/12-00-00-sweep", "RUN RUN --metric loss --latex table.tex")
    compare = add_command(commands, "compare", _compare, what, more, examples)
    add_runs(compare)
    compare.add_argument("--html", type=path, metavar="FILE", help="where to write the page")
    add_json(compare)
    for name, what in _TABLES.items():
        compare.add_argument(
            f"--{name}", type=path, metavar="FILE", help=f"write the table with intervals as {what}, too"
        )
    compare.add_argument(
        "--force", action="store_true", help="compare runs although they differ in data, budget or machine"
    )
    best = "give each variant its best value of KEY on val, by what trainer.monitor names, e.g. optimizer.lr; may be repeated"
    compare.add_argument("--tune", action="append", default=[], metavar="KEY", help=best)
    spent = "compare at equal parameters, training FLOPs or training time"
    compare.add_argument("--equal", choices=("parameters", "flops", "time"), help=spent)
    only = "compare in one metric alone; those that do not count tokens also between tokenizers"
    compare.add_argument("--metric", metavar="NAME", help=only)
    varied = "what differs between the samples of a variant: seed (the default), or seed,order_seed"
    compare.add_argument("--vary", default="seed", metavar="KEYS", help=varied)
    small = "a difference that would not matter, e.g. loss=0.005: verdicts say where none is larger; may be repeated"
    compare.add_argument("--margin", action="append", default=[], type=margin, metavar="METRIC=X", help=small)
    one = "compare all others with the variant of this label instead of each with each"
    compare.add_argument("--baseline", metavar="NAME", help=one)
    shown = "show the page and the verdicts in W&B, too, as the runs were: online, or in a folder for wandb sync"
    compare.add_argument("--wandb", action="store_true", help=shown)

    what, more = "train a run again from its record and compare the numbers", "The exit code is 1 where they differ."
    examples = ("RUN --steps 100", "reference/reverse-additive")
    again = add_command(commands, "reproduce", _reproduce, what, more, examples)
    again.add_argument("record", type=given, metavar="RUN", help=_RECORDS)
    again.add_argument("--steps", type=int, metavar="N", help="train and compare only the first N steps")
    smaller = "relative difference up to which two metrics count as equal (default: 0.001)"
    again.add_argument("--tolerance", type=float, metavar="X", help=smaller)
    add_data(again)
    again.add_argument("--runs", type=given, default="runs", metavar="FOLDER", help="where new runs go (default: runs)")

    what = "watch a folder of runs in a browser while training goes on"
    more = "The page shows each run's progress and curves, and goes on until Ctrl-C."
    board = add_command(commands, "dashboard", _dashboard, what, more, ("runs --open", "SWEEP --port 0"))
    board.add_argument("runs", nargs="?", default=Path("runs"), type=path, metavar="FOLDER", help="default: runs")
    where = "where to listen on this machine; 0: any free one (default: 8321)"
    board.add_argument("--port", type=port, default=8321, metavar="N", help=where)
    board.add_argument("--open", action="store_true", help="open the page in a browser, too")

    what = "build a workspace and a report in W&B for the runs of a sweep"
    absent = "Without a login or a network nothing is created: the plan of both is printed, and the exit code is 0."
    report = add_command(commands, "wandb-report", _wandb_report, what, absent, ("SWEEP", "SWEEP --offline"))
    add_runs(report)
    report.add_argument("--offline", action="store_true", help="create nothing: print what would be created")


def _compare(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.compare import Options, compare

    vary = tuple(dict.fromkeys(parsed.vary.split(",")))
    tune, margins = tuple(dict.fromkeys(parsed.tune)), tuple(parsed.margin)
    options = Options(tune, parsed.equal, parsed.metric, vary, margins, parsed.baseline)
    tables = {name: file for name in _TABLES if (file := getattr(parsed, name)) is not None}
    more = {"data": parsed.json, "options": options, "wandb": parsed.wandb, "tables": tables}
    compare(parsed.runs, parsed.html, parsed.force, **more)


def _reproduce(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.reproduce import command

    tolerance = {} if parsed.tolerance is None else {"tolerance": parsed.tolerance}
    command.run(parsed.record, steps=parsed.steps, runs=parsed.runs, data=parsed.data, **tolerance)


def _dashboard(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.dashboard import serve

    serve(parsed.runs, parsed.port, open_browser=parsed.open)


def _wandb_report(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.compare import compare_groups, gather, verdicts
        from attncompare.compare.gathering import reference_note
        from attncompare.text import printable
        from attncompare.wandb_logging.report import build

    gathered = gather(parsed.runs)
    if gathered.reference:
        print(f"note: {printable(reference_note(gathered.reference))}", file=sys.stderr)
    comparisons = compare_groups(gathered.runs, left_out=gathered.left_out)
    sentences = [verdict.sentence for comparison in comparisons for verdict in verdicts(comparison)]
    again = [shlex.join(["attncompare", "compare", *map(str, parsed.runs)])]
    again.append(shlex.join(["attncompare", "reproduce", str(gathered.runs[0].path)]))
    variants = [variant for comparison in comparisons for variant in comparison.variants]
    colors = {run.path: variant.color for variant in variants for run in variant.runs}
    build(gathered.runs, sentences, again, colors=colors, offline=parsed.offline)
