"""The commands ``attncompare bench NAME``. What they import, they import when they run (C11)."""

import argparse
from pathlib import Path
from typing import Any

from attncompare.bench.options import DEVICES, Options
from attncompare.cli_arguments import path, positive
from attncompare.errors import Refused
from attncompare.registry import unknown

TRAIN_PARTS = ("language-model", "language-model-large", "translation", "overhead")
_MULTI30K = "folder of Multi30k (default: generated pairs with sentences as long as its own)"


def add_bench(commands: Any) -> None:
    """Add ``bench`` and its benchmarks to the console script's ``commands``."""
    bench = commands.add_parser("bench", help="measure speed and memory side by side with what others would pick")
    benchmarks = bench.add_subparsers(metavar="NAME")
    _add_startup(benchmarks)
    _add_train(benchmarks)

    def which(parsed: argparse.Namespace) -> None:  # noqa: ARG001  (every command gets what was parsed)
        raise Refused(f"bench: which benchmark? valid: {', '.join(benchmarks.choices)}; see attncompare bench --help")

    bench.set_defaults(command=which)


def add_shared_options(parser: argparse.ArgumentParser) -> None:
    """Add what every benchmark can be told; :func:`options_of` reads it."""
    rounds = "measure exactly so many rounds (default: at least 10, and for at least 2 s)"
    parser.add_argument("--rounds", type=positive, metavar="N", help=rounds)
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of torch (default: as many as it takes)")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="default: cpu")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: see that it works; the figures mean nothing")
    parser.add_argument("--json", type=path, metavar="FILE", help="write all figures, machine and versions, too")
    parser.add_argument("--plot", type=path, metavar="FILE", help="write a page with pictures and tables, too")
    parser.add_argument("--markdown", action="store_true", help="print the tables as the docs hold them")


def options_of(parsed: argparse.Namespace) -> Options:
    """Return what was said for :func:`add_shared_options`."""
    return Options(
        parsed.rounds, parsed.threads, parsed.device, parsed.quick, parsed.json, parsed.plot, parsed.markdown
    )


def _add_startup(benchmarks: Any) -> None:
    what = "how long commands, imports and the first training step take in fresh processes"
    startup = benchmarks.add_parser("startup", help=what)
    add_shared_options(startup)
    startup.set_defaults(command=_startup)


def _startup(parsed: argparse.Namespace) -> None:
    from attncompare.bench.command import run
    from attncompare.bench.startup import bench_startup

    run(bench_startup, options_of(parsed))


def _add_train(benchmarks: Any) -> None:
    what = "whole training steps against what others would train with, and what the framework adds to each"
    train = benchmarks.add_parser("train", help=what)
    parts = f"which tables: {', '.join(TRAIN_PARTS)} (default: all)"
    train.add_argument("parts", nargs="*", metavar="PART", help=parts)
    train.add_argument("--data-path", type=path, metavar="FOLDER", help=_MULTI30K)
    add_shared_options(train)
    train.set_defaults(command=_train)


def _train(parsed: argparse.Namespace) -> None:
    for part in parsed.parts:
        if part not in TRAIN_PARTS:
            raise Refused(unknown("part", part, TRAIN_PARTS))
    _require_folder(parsed.data_path)
    from functools import partial

    from attncompare.bench.command import run
    from attncompare.bench.train import TrainOptions, bench_train

    chosen = TrainOptions(tuple(dict.fromkeys(parsed.parts)) or TRAIN_PARTS, parsed.data_path)
    run(partial(bench_train, chosen=chosen), options_of(parsed))


def _require_folder(data_path: Path | None) -> None:
    if data_path is not None and not data_path.is_dir():
        raise Refused(f"--data-path {data_path}: there is no such folder; give that of Multi30k, or leave it out")
