"""The commands ``train`` and ``sweeps``: from Hydra's arguments to one run or the runs of a sweep."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attncompare.cli.arguments import add_command, path
from attncompare.cli.process import importing
from attncompare.errors import Refused
from attncompare.registry import unknown

if TYPE_CHECKING:
    from attncompare.config import RunConfig

# Of Hydra's options those that make sense here; the others would read configs, or pickles, from elsewhere.
_WITH_A_VALUE = ("--cfg", "-c", "--package", "-p")
_OPTIONS = ("--help", "-h", "--multirun", "-m", "--resolve", "--resume", "--fresh", "--dry-run", *_WITH_A_VALUE)

_OF_SWEEPS = {"--fresh": "hydra.sweeper.fresh=true", "--dry-run": "hydra.sweeper.dry_run=true"}


def add_commands(commands: Any) -> None:
    """Add both commands to those of the console script."""
    commands.add_parser("train", help="train one model, or with -m one for each combination of values", add_help=False)
    what = "list the sweeps in a folder: what each varies, and how far it is"
    sweeps = add_command(commands, "sweeps", _sweeps, what)
    where = "folder of runs, or of one sweep (default: runs)"
    sweeps.add_argument("runs", nargs="?", type=path, default=Path("runs"), metavar="RUNS", help=where)
    sweeps.add_argument("--json", action="store_true", help="print all that is known of them as JSON")


def train(arguments: list[str]) -> None:
    """Train what ``arguments``, all of them Hydra's but ``--resume``, ``--fresh`` and ``--dry-run``, ask for.

    Raises Refused if they cannot be composed to a config; nothing was started; RunFailed, KeyboardInterrupt: as from
    :func:`attncompare.training.train` and the sweep.
    """
    with importing():
        from attncompare.config import parse_composed

    told = [option for option in _OF_SWEEPS if option in arguments]
    words = _with_resume_as_override([word for word in arguments if word not in told])
    # A sweep is trained by our sweeper (hydra_plugins/) meanwhile, a single run here, once Hydra is done.
    jobs = compose([*words, *(_OF_SWEEPS[option] for option in told)])
    if jobs and told:
        raise Refused(f"{told[0]}: it is for the runs of a sweep, with -m; one run alone is always a new one")
    for composed, overrides in jobs:
        _train_one(parse_composed(composed), overrides)


def compose(arguments: list[str]) -> list[tuple[Any, list[str]]]:
    """Return the composed config of a single run with its overrides; none where Hydra did something else.

    Raises Refused if they cannot be composed, or reach into Hydra."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf
    from yaml import YAMLError

    from attncompare.config import CONF_DIR
    from attncompare.config.checks import check_arguments, groups_of
    from attncompare.config.messages import HYDRA_ERRORS, explain_hydra, raised_by_hydra, shown

    for word in arguments:
        option = word.partition("=")[0]
        if option.startswith("-") and option not in _OPTIONS:
            raise Refused(unknown("option", option, _OPTIONS))
    values = {number + 1 for number, word in enumerate(arguments) if word in _WITH_A_VALUE}
    options = [word for number, word in enumerate(arguments) if number in values or word.startswith("-")]
    overrides = [word for number, word in enumerate(arguments) if number not in values and not word.startswith("-")]
    jobs: list[tuple[Any, list[str]]] = []

    def collect(composed: Any) -> None:
        asked: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        jobs.append((composed, list(asked)))

    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of being printed
    before = sys.argv
    sys.argv = ["attncompare train", *options, *overrides]
    try:
        check_arguments(overrides, groups_of(CONF_DIR))
        hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="train")(collect)()
    except HYDRA_ERRORS as error:
        raise Refused(explain_hydra(error)) from None
    except (AssertionError, TypeError, ValueError) as error:
        if not raised_by_hydra(error):
            raise
        raise Refused(f"cannot compose the config: {shown(str(error))}") from None
    except YAMLError as error:  # in a file of conf/ or of an installed package
        raise Refused(f"no yaml: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise Refused("the config is nested too deeply, or its references go in a circle") from None
    finally:
        sys.argv = before
    return jobs


def _with_resume_as_override(arguments: list[str]) -> list[str]:
    words: list[str] = []
    rest = iter(arguments)
    for word in rest:
        option, equals, folder = word.partition("=")
        if option == "--resume":
            folder = folder if equals else next(rest, "")
            if not folder or folder.startswith("-"):
                raise Refused("--resume: give the folder of an unfinished run")
            try:
                path(folder)
            except argparse.ArgumentTypeError as error:
                raise Refused(f"--resume {error}") from None
            word = "resume='" + folder.replace("\\", "\\\\").replace("'", "\\'") + "'"  # noqa: PLW2901
        words.append(word)
    return words


def _train_one(config: "RunConfig", overrides: list[str]) -> None:
    """Train one run and print its folder; further processes of ``ddp``, which run this command again, print nothing."""
    with importing():
        from attncompare.attention.kernels.heap import keep_freed_memory
        from attncompare.record import how_to_resume
        from attncompare.sweep.pool import wandb_problem
        from attncompare.training import train as train_run

    folder = None if config.resume is None else Path(config.resume)

    def on_folder(made: Path) -> None:
        nonlocal folder
        folder = made
        say(f"recording in {made}")

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    keep_freed_memory()  # here and not in train(): it changes the whole process, which is ours
    shown, began = "bar" if sys.stderr.isatty() else "lines", time.monotonic()
    try:
        run = train_run(config, overrides, progress=shown, on_folder=on_folder, on_message=say)
    except KeyboardInterrupt:
        if folder is not None:
            say(how_to_resume(folder))
        raise
    if os.environ.get("LOCAL_RANK", "0") == "0":
        for line in [*wandb_problem(run), f"finished after {time.monotonic() - began:.0f} s"]:
            say(line)
        print(run.path)


def _sweeps(parsed: argparse.Namespace) -> None:
    from attncompare.sweep.listing import print_sweeps

    print_sweeps(parsed.runs, as_json=parsed.json)
