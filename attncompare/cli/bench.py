"""The commands ``attncompare bench NAME``. What they import, they import when they run (C11)."""

import argparse
from typing import TYPE_CHECKING, Any

from attncompare.bench.attention_wish import DTYPES, PARTS, PEERS, PRESETS
from attncompare.bench.options import DEVICES, Options
from attncompare.cli.arguments import path, positive, several
from attncompare.errors import Refused

if TYPE_CHECKING:
    from attncompare.bench.report import Report


def add_bench(commands: Any) -> None:
    """Add ``bench`` and its benchmarks to the console script's ``commands``."""
    from attncompare.cli.bench_models import add_models  # which is built on this module

    bench = commands.add_parser("bench", help="measure speed and memory side by side with what others would pick")
    benchmarks = bench.add_subparsers(metavar="NAME")
    _add_attention(benchmarks)
    _add_startup(benchmarks)
    add_models(benchmarks)

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


def _add_attention(benchmarks: Any) -> None:
    what = "every score against the eager formula, torch.compile and torch's own attention: time, memory, error"
    attention = benchmarks.add_parser("attention", help=what, description=f"{what[0].upper()}{what[1:]}.")
    preset = "sizes of the docs; other options come before it"
    attention.add_argument("--preset", choices=tuple(PRESETS), help=preset)
    names = several(str)
    attention.add_argument("--attention", type=names, metavar="NAMES", help="files of conf/attention (default: all)")
    parts = f"of {','.join(PARTS)}: with or without projections (default: both)"
    attention.add_argument("--parts", type=names, metavar="NAMES", help=parts)
    attention.add_argument("--peers", type=names, metavar="NAMES", help=f"of {','.join(PEERS)} (default: all)")
    lengths = "numbers of queries and keys (default: 64,256,1024,4096)"
    attention.add_argument("--lengths", type=several(positive), metavar="N,N", help=lengths)
    attention.add_argument("--batch", type=positive, metavar="N", help="default: 1")
    attention.add_argument("--heads", type=positive, metavar="N", help="default: 4")
    attention.add_argument("--head-dim", type=positive, metavar="N", help="default: 32")
    attention.add_argument("--dtype", choices=DTYPES, help="default: float32")
    add_shared_options(attention)
    attention.set_defaults(command=_attention)


def _attention(parsed: argparse.Namespace) -> None:
    from attncompare.bench.attention_wish import wish

    keys = ("attention", "parts", "peers", "lengths", "batch", "heads", "head_dim", "dtype")
    wished = wish(parsed.preset, parsed.quick, **{key: getattr(parsed, key) for key in keys})
    from attncompare.bench.command import Say, run

    def measured(options: Options, say: Say) -> "Report":
        from attncompare.bench.attention import bench_attention

        return bench_attention(options, say, wish=wished)

    run(measured, options_of(parsed))


def _add_startup(benchmarks: Any) -> None:
    what = "how long commands, imports and the first training step take in fresh processes"
    startup = benchmarks.add_parser("startup", help=what)
    add_shared_options(startup)
    startup.set_defaults(command=_startup)


def _startup(parsed: argparse.Namespace) -> None:
    from attncompare.bench.command import run
    from attncompare.bench.startup import bench_startup

    run(bench_startup, options_of(parsed))
