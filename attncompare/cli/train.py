"""The commands ``train`` and ``sweeps``: from Hydra's arguments to one run or the runs of a sweep."""

import argparse
import os
import re
import sys
import time
from collections.abc import Collection
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
_CONFIG_DIR = ("--config-dir", "-cd")
_OF_SWEEPS = {"--fresh": "hydra.sweeper.fresh=true", "--dry-run": "hydra.sweeper.dry_run=true"}
_OPTIONS = (
    *("--help", "-h", "--multirun", "-m", "--resolve", "--resume", "--config-dir"),
    *_OF_SWEEPS,
    *_WITH_A_VALUE,
)
_INSTEAD = {
    ("--config-name", "-cn"): "experiment=NAME chooses a whole config, also one of your own (docs/experiments.md)",
    ("--config-path", "-cp"): "--config-dir DIR gives a folder of own configs (docs/experiments.md)",
    ("--info", "-i"): "--cfg job prints the composed config, --help shows all choices",
    ("--hydra-help",): "--help shows all choices",
    ("--run", "-r"): "leave it out: without -m one run is trained",
    ("--shell-completion", "-sc"): "--help shows all choices",
    ("--experimental-rerun",): "attncompare reproduce RUN trains a run again, train --resume RUN goes on with it",
}


def add_commands(commands: Any) -> None:
    """Add both commands to those of the console script."""
    commands.add_parser("train", help="train one model, or with -m one for each combination of values", add_help=False)
    what = "list the sweeps in a folder: what each varies, and how far it is"
    more = "The command that goes on with an unfinished one is printed, too."
    sweeps = add_command(commands, "sweeps", _sweeps, what, more, ("runs", "SWEEP --json"))
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
    resumed, words = _taken(("--resume",), "an unfinished run", [word for word in arguments if word not in told])
    if resumed is not None:
        words.append("resume='" + resumed.replace("\\", "\\\\").replace("'", "\\'") + "'")
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

    from attncompare.config import CONF_DIR, variants
    from attncompare.config.checks import check_arguments, groups_of
    from attncompare.config.messages import HYDRA_ERRORS, explain_hydra, raised_by_hydra, shown
    from attncompare.config.schema import OPEN_SECTIONS

    given, arguments = _taken(_CONFIG_DIR, "own configs", arguments)
    _check_options(arguments)
    values = {number + 1 for number, word in enumerate(arguments) if word in _WITH_A_VALUE}
    options = [word for number, word in enumerate(arguments) if number in values or word.startswith("-")]
    overrides = [word for number, word in enumerate(arguments) if number not in values and not word.startswith("-")]
    groups = groups_of(CONF_DIR)
    # Hydra's own pages write +experiment=NAME, for a group that the main config does not choose from.
    overrides = [re.sub(rf"^\+{{1,2}}(?=({'|'.join(groups)})=)", "", word) for word in overrides]
    # A part's own settings, and sites and layers, are keys that no yaml lists; the schema knows which are valid.
    opened = re.compile(rf"^(?=attention\.((sites|layers)=|({'|'.join(OPEN_SECTIONS)})\.))")
    overrides = [opened.sub("++", word) for word in overrides]
    own, others = None, set[str]()
    if not any(word.startswith("resume=") for word in overrides):
        own, others = _own_configs(given)
    elif given is not None:
        raise Refused("--config-dir: a run goes on as its record says, so leave it out")
    variants.also_in(own)
    if own is not None:
        options += ["--config-dir", str(own)]
    jobs: list[tuple[Any, list[str]]] = []

    def collect(composed: Any) -> None:
        asked: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        jobs.append((composed, list(asked)))

    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of being printed
    before = sys.argv
    sys.argv = ["attncompare train", *options, *overrides]
    try:
        check_arguments(overrides, groups, others)
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


def _check_options(arguments: list[str]) -> None:
    for option in (word.partition("=")[0] for word in arguments):
        for names, instead in _INSTEAD.items():
            if option in names:
                raise Refused(f"{option}: not an option here; {instead}")
        if option.startswith("-") and option not in _OPTIONS:
            raise Refused(unknown("option", option, _OPTIONS))
    if {"--package", "-p"} & set(arguments) and not {"--cfg", "-c"} & set(arguments):
        raise Refused("--package: it is for --cfg job, which prints that part of the config")


def _taken(names: Collection[str], what: str, arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the folder that an option with one of ``names`` gives, None without it, and the other arguments."""
    found, words = None, []
    rest = iter(arguments)
    for word in rest:
        option, equals, folder = word.partition("=")
        if option not in names:
            words.append(word)
            continue
        found = folder if equals else next(rest, "")
        if not found or found.startswith("-"):
            raise Refused(f"{option}: give the folder of {what}")
        try:
            path(found)
        except argparse.ArgumentTypeError as error:
            raise Refused(f"{option} {error}") from None
    return found, words


def _own_configs(given: str | None) -> tuple[Path | None, set[str]]:
    """Return the folder of own configs, as :func:`_own_folder` does, and its folders that are no group of ours."""
    from attncompare.config import CONF_DIR
    from attncompare.config.checks import groups_of

    try:
        own = _own_folder(given)
        return own, set() if own is None else groups_of(own) - groups_of(CONF_DIR)
    except OSError as error:
        raise Refused(f"--config-dir {given or 'conf'}: cannot read {error.filename} ({error.strerror})") from None


def _own_folder(given: str | None) -> Path | None:
    """Return the folder of own configs, checked: the one given, else ``conf`` of the current folder where it is one."""
    from attncompare.config import CONF_DIR
    from attncompare.config.checks import groups_of
    from attncompare.config.own_configs import check_own_configs, has_groups

    folder = Path(given or "conf")
    if not has_groups(folder):
        if given is None or (folder.is_dir() and folder.samefile(CONF_DIR)):
            return None
        problem = (
            f"has none of the folders {', '.join(sorted(groups_of(CONF_DIR)))}" if folder.is_dir() else "no folder"
        )
        raise Refused(f"--config-dir {folder}: {problem}")
    if given is None:
        if others := sorted(folder.glob("*.yaml")):  # where Hydra's own pages put the main config of a program
            _say(
                f"{folder}: not read, as {others[0].name} makes it the configs of another program; "
                "--config-dir reads it all the same"
            )
            return None
        _say(f"own configs: those in {folder} are read, too")
    check_own_configs(folder)
    return folder.absolute()


def _say(text: str) -> None:
    if _is_first():
        print(text, file=sys.stderr)


def _is_first() -> bool:
    """Return whether this process is none of the further ones of ``ddp``, which run the same command again."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _train_one(config: "RunConfig", overrides: list[str]) -> None:
    """Train one run and print its folder; further processes of ``ddp``, which run this command again, print nothing."""
    with importing():
        from attncompare.attention.kernels.heap import keep_freed_memory
        from attncompare.record import how_to_resume
        from attncompare.sweep.pool import wandb_problem
        from attncompare.tasks.metrics import baselines_said
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
    if _is_first():
        lines = [f"without a model: {said}" for said in baselines_said(run.config, run.summary)]
        lines += [f"attention maps: {run.path / page}" for page in ("maps/index.html",) if run.has(page)]
        for line in [*wandb_problem(run), *lines, f"finished after {time.monotonic() - began:.0f} s"]:
            say(line)
        print(run.path)


def _sweeps(parsed: argparse.Namespace) -> None:
    from attncompare.sweep.listing import print_sweeps

    print_sweeps(parsed.runs, as_json=parsed.json)
