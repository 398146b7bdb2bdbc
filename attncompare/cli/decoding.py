"""The commands that ask a trained run for more: ``translate``, ``generate``, ``evaluate``."""

import argparse
from typing import Any

from attncompare.cli.arguments import path
from attncompare.cli.collection import importing

_CHECKPOINTS = ("best", "last", "averaged")
_RUN = "the folder of a finished run"


def add_decoding(commands: Any) -> None:
    """Add the commands to the console script's ``commands``."""
    _add_translate(commands)
    _add_generate(commands)
    _add_evaluate(commands)


def _add_translate(commands: Any) -> None:
    what = "translate sentences, one a line, from a file or standard input to standard output"
    translate = commands.add_parser("translate", help=what, description=f"{what[0].upper()}{what[1:]}.")
    translate.add_argument("run", type=path, metavar="RUN", help=_RUN)
    translate.add_argument("file", nargs="?", type=path, metavar="FILE", help="default: standard input")
    translate.add_argument(
        "--beam", type=int, default=5, metavar="N", help="width of the search; 1: greedy (default: 5)"
    )
    several = "print N translations of each: number of the sentence, score, text, with tabs between"
    translate.add_argument("--n-best", type=int, metavar="N", help=several)
    penalty = "alpha of ((5 + length) / 6)^alpha; 0: none (default: 1)"
    translate.add_argument("--length-penalty", type=float, default=1.0, metavar="A", help=penalty)
    maps = "write a page with the attention maps of the first 20 sentences"
    translate.add_argument("--maps", type=path, metavar="OUT.html", help=maps)
    _add_checkpoint(translate)
    translate.set_defaults(command=_translate)


def _add_generate(commands: Any) -> None:
    generate = commands.add_parser("generate", help="let a trained language model continue a text")
    generate.add_argument("run", type=path, metavar="RUN", help=_RUN)
    generate.add_argument("--prompt", required=True, metavar="TEXT", help="the beginning of the text")
    generate.add_argument("--tokens", type=int, default=100, metavar="N", help="how many are added (default: 100)")
    heat = "below 1: likely tokens more often (default: 1)"
    generate.add_argument("--temperature", type=float, default=1.0, metavar="X", help=heat)
    generate.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens alone")
    nucleus = "draw from the fewest likeliest tokens with probability P together"
    generate.add_argument("--top-p", type=float, metavar="P", help=nucleus)
    generate.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws (default: 0)")
    generate.add_argument("--samples", type=int, default=1, metavar="N", help="how many texts (default: 1)")
    _add_checkpoint(generate)
    generate.set_defaults(command=_generate)


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser("evaluate", help="evaluate a trained run on other data, or with other weights")
    evaluate.add_argument("run", type=path, metavar="RUN", help=_RUN)
    change = "another value of a key of the run's data, e.g. path=FOLDER; may be repeated"
    evaluate.add_argument("--data", action="append", default=[], metavar="KEY=VALUE", help=change)
    evaluate.add_argument("--split", choices=("val", "test"), default="test", help="default: test")
    beam = "width of the search for translations (default: as the run was tested)"
    evaluate.add_argument("--beam", type=int, metavar="N", help=beam)
    stride = "tokens from one window of a text to the next, each scoring what those before left (default: the run's)"
    evaluate.add_argument("--stride", type=int, metavar="N", help=stride)
    evaluate.add_argument("--json", type=path, metavar="FILE", help="write it as data, too")
    _add_checkpoint(evaluate)
    evaluate.set_defaults(command=_evaluate)


def _add_checkpoint(parser: argparse.ArgumentParser) -> None:
    which = "which weights of the run (default: those that it was tested with)"
    parser.add_argument("--checkpoint", choices=_CHECKPOINTS, help=which)


def _translate(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.inference.translate import translate

    translate(
        *(parsed.run, parsed.file),
        beam=parsed.beam,
        n_best=parsed.n_best,
        length_penalty=parsed.length_penalty,
        checkpoint=parsed.checkpoint,
        maps=parsed.maps,
    )


def _generate(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.inference.generate import generate

    generate(
        *(parsed.run, parsed.prompt, parsed.checkpoint),
        tokens=parsed.tokens,
        temperature=parsed.temperature,
        top_k=parsed.top_k,
        top_p=parsed.top_p,
        seed=parsed.seed,
        samples=parsed.samples,
    )


def _evaluate(parsed: argparse.Namespace) -> None:
    with importing():
        from attncompare.inference.evaluate import evaluate

    evaluate(
        *(parsed.run, parsed.data),
        split=parsed.split,
        checkpoint=parsed.checkpoint,
        beam=parsed.beam,
        stride=parsed.stride,
        file=parsed.json,
    )
