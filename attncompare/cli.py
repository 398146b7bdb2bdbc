"""The console script ``attncompare`` (C11).

Exit codes: 0 done, 1 failed, 2 wrong usage or config, 130 interrupted. Heavy libraries are imported by the command that
needs them, so that help and config errors come at once.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from attncompare.errors import AttnCompareError, Refused
from attncompare.registry import unknown
from attncompare.tracking.interrupts import first_interrupt_for_good

if TYPE_CHECKING:
    from attncompare.config import RunConfig

INTERRUPTED = 130
# Of Hydra's options those that make sense here; the others would read configs, or pickles, from elsewhere.
_TRAIN_OPTIONS = ("--help", "-h", "--multirun", "-m", "--cfg", "-c", "--package", "-p", "--resolve")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    ours = arguments is None  # the process is
    if ours:
        first_interrupt_for_good()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments[:1] == ["train"]:  # everything behind it is Hydra's
            _train(arguments[1:])
        else:
            _command(arguments)
    except AttnCompareError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        if ours:  # else another Ctrl-C could still kill Python while it takes itself apart, and change the exit code
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def _command(arguments: list[str]) -> None:
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
    commands = parser.add_subparsers(metavar="COMMAND")
    commands.add_parser("train", help="train one model, or with -m one for each combination of values", add_help=False)

    compare = commands.add_parser("compare", help="compare finished runs: a table, and a page with curves and maps")
    compare.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs, or of a sweep")
    compare.add_argument("--html", type=Path, metavar="FILE", help="where to write the page")
    compare.add_argument("--force", action="store_true", help="compare runs that differ in more than their attention")
    compare.set_defaults(command=_compare)

    again = commands.add_parser("reproduce", help="train a run again from its record and compare the numbers")
    again.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run")
    again.set_defaults(command=_reproduce)

    attend = commands.add_parser("attend", help="show the attention maps of a trained run for a new sentence")
    attend.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run")
    attend.add_argument("sentence", help="a source sentence, or a text for a language model")
    attend.add_argument("--layer", type=int, metavar="N", help="layer, from 1 (default: the last)")
    attend.add_argument("--head", type=int, metavar="N", help="head, from 1 (default: all)")
    page = "where to write the page (default: RUN/maps/attend.html)"
    attend.add_argument("--html", type=Path, metavar="FILE", help=page)
    attend.set_defaults(command=_attend)
    return parser, list(commands.choices)


def _train(arguments: list[str]) -> None:
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from attncompare.config import parse_composed

    jobs: list[tuple[Any, list[str]]] = []

    def collect(composed: Any) -> None:
        overrides = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        jobs.append((composed, list(overrides)))  # type: ignore[arg-type]

    # Hydra composes; a sweep is run by our launcher (sweep.py), a single run here, once Hydra is done.
    _compose(arguments, collect)
    for composed, overrides in jobs:
        _train_one(parse_composed(composed), overrides)


def _compose(arguments: list[str], job: Callable[[Any], None]) -> None:
    import hydra

    from attncompare.config import CONF_DIR
    from attncompare.config_errors import HYDRA_ERRORS, explain_hydra

    for argument in arguments:
        option = argument.partition("=")[0]
        if option.startswith("-") and option not in _TRAIN_OPTIONS:
            raise Refused(unknown("option", option, _TRAIN_OPTIONS))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of being printed
    before = sys.argv
    # Hydra wants a folder for its own notes on a sweep; the sweep's record is ours.
    with tempfile.TemporaryDirectory() as scratch:
        sys.argv = ["attncompare train", *arguments, f"hydra.sweep.dir='{scratch}'"]
        try:
            hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="train")(job)()
        except HYDRA_ERRORS as error:
            raise Refused(explain_hydra(error)) from None
        finally:
            sys.argv = before


def _train_one(config: "RunConfig", overrides: list[str]) -> None:
    def work(**shown: Any) -> Path:
        from attncompare.train import train

        return train(config, overrides, **shown).path

    print(_with_board(f"{config.task.name} {config.attention.name}", work))


def _with_board(label: str, work: Callable[..., Any]) -> Any:
    """Return what ``work(on_progress=..., on_folder=...)`` returns, while a board shows its progress."""
    from rich.console import Console

    from attncompare.progress_board import ProgressBoard

    with ProgressBoard([label], Console(stderr=True)) as board:
        try:
            result = work(
                on_progress=lambda progress: board.update(0, progress),
                on_folder=lambda folder: board.print(f"recording in {folder}"),
            )
        except Refused:
            raise  # nothing was started that could have ended
        except KeyboardInterrupt:
            board.finish(0, "interrupted")
            raise
        except Exception:
            board.finish(0, "failed")
            raise
        board.finish(0, "finished")
        return result


def _compare(parsed: argparse.Namespace) -> None:
    from attncompare.compare.command import compare

    compare(parsed.runs, parsed.html, parsed.force)


def _reproduce(parsed: argparse.Namespace) -> None:
    from attncompare.errors import RunFailed
    from attncompare.reproduce import reproduce

    outcome = _with_board(f"again {parsed.run.name}", lambda **shown: reproduce(parsed.run, **shown))
    print(outcome)
    if outcome.verdict == "different":
        raise RunFailed(f"{parsed.run} was not reproduced")


def _attend(parsed: argparse.Namespace) -> None:
    from rich.console import Console

    from attncompare.tracking.files import write_text
    from attncompare.tracking.page import MapSeries, maps_page
    from attncompare.tracking.terminal import print_maps
    from attncompare.trained import load

    if parsed.html and not parsed.html.parent.is_dir():
        raise Refused(f"--html {parsed.html}: there is no folder {parsed.html.parent}")
    trained = load(parsed.run)
    maps = trained.attention(parsed.sentence)
    print_maps(Console(), maps, parsed.layer, parsed.head)
    page = parsed.html or trained.run.path / "maps" / "attend.html"
    series = MapSeries(trained.run.config.attention.name, [(trained.run.summary["best_step"], [maps])])
    try:
        write_text(page, maps_page(maps.text, [series]))
    except OSError as error:
        raise Refused(f"--html {page}: cannot write there ({error.strerror})") from None
    print(f"page: {page}")


if __name__ == "__main__":
    sys.exit(main())
