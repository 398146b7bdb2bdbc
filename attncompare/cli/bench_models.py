"""The commands ``attncompare bench train`` and ``bench decode``: whole models, not attention alone."""

import argparse
from pathlib import Path
from typing import Any

from attncompare.cli.arguments import path
from attncompare.cli.bench import add_shared_options, options_of
from attncompare.errors import Refused
from attncompare.registry import unknown

TRAIN_PARTS = ("language-model", "language-model-large", "translation", "overhead")
_MULTI30K = "folder of Multi30k (default: generated pairs with sentences as long as its own)"


def add_models(benchmarks: Any) -> None:
    """Add both to the ``benchmarks`` of ``attncompare bench``."""
    _add_train(benchmarks)
    _add_decode(benchmarks)


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


def _add_decode(benchmarks: Any) -> None:
    what = "beam search against that of Hugging Face, and what the cache of keys and values is worth"
    decode = benchmarks.add_parser("decode", help=what)
    decode.add_argument("--data-path", type=path, metavar="FOLDER", help=_MULTI30K)
    add_shared_options(decode)
    decode.set_defaults(command=_decode)


def _decode(parsed: argparse.Namespace) -> None:
    _require_folder(parsed.data_path)
    from functools import partial

    from attncompare.bench.command import run
    from attncompare.bench.decode import DecodeOptions, bench_decode

    run(partial(bench_decode, chosen=DecodeOptions(parsed.data_path)), options_of(parsed))
