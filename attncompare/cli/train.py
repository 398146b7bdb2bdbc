"""The command ``train``: from Hydra's arguments to a config, and to one run or the runs of a sweep."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attncompare.cli.collection import importing
from attncompare.errors import Refused
from attncompare.registry import unknown

if TYPE_CHECKING:
    from attncompare.config import RunConfig
    from attncompare.record import Run

# Of Hydra's options those that make sense here; the others would read configs, or pickles, from elsewhere.
_OPTIONS = (
    *("--help", "-h", "--multirun", "-m", "--cfg", "-c", "--package", "-p", "--resolve"),
    *("--resume", "--fresh"),  # ours
)
_OPTIONS_WITH_A_VALUE = ("--cfg", "-c", "--package", "-p")


def train(arguments: list[str]) -> None:
    """Train what ``arguments``, all of them Hydra's but a few of our own, ask for.

    Raises:
        Refused: if they cannot be composed to a config; nothing was started.
        RunFailed, KeyboardInterrupt: as from :func:`attncompare.training.run.train` and the sweep.
    """
    with importing():
        from hydra.core.hydra_config import HydraConfig
        from omegaconf import OmegaConf

        from attncompare.config import parse_composed

    fresh = "--fresh" in arguments
    arguments = [argument for argument in arguments if argument != "--fresh"]
    jobs: list[tuple[Any, list[str]]] = []

    def collect(composed: Any) -> None:
        overrides = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        jobs.append((composed, list(overrides)))  # type: ignore[arg-type]

    # Hydra composes; a sweep is trained by our sweeper (sweep/), a single run here, once Hydra is done.
    _compose(_with_resume_as_override(arguments) + ["hydra.sweeper.fresh=true"] * fresh, collect)
    if jobs and fresh:
        raise Refused("--fresh: one run alone is always a new one; it is for the runs of a sweep, with -m")
    for composed, overrides in jobs:
        _train_one(parse_composed(composed), overrides)


def _with_resume_as_override(arguments: list[str]) -> list[str]:
    """Return the arguments with ``resume='RUN'`` for ``--resume RUN``: it is a key of the config as all others are."""
    given: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        option, equals, path = argument.partition("=")
        if option != "--resume":
            given.append(argument)
            continue
        path = path if equals else next(rest, "")
        if not path or path.startswith("-"):
            raise Refused("--resume: give the folder of an unfinished run")
        given.append("resume='" + path.replace("\\", "\\\\").replace("'", "\\'") + "'")
    return given


def _compose(arguments: list[str], job: Callable[[Any], None]) -> None:
    import hydra

    from attncompare.config import CONF_DIR
    from attncompare.config.checks import check_arguments, check_conf, groups_of
    from attncompare.config.messages import HYDRA_ERRORS, explain_hydra, raised_by_hydra, shown

    for argument in arguments:
        option = argument.partition("=")[0]
        if option.startswith("-") and option not in _OPTIONS:
            raise Refused(unknown("option", option, _OPTIONS))
    taken = {number + 1 for number, argument in enumerate(arguments) if argument in _OPTIONS_WITH_A_VALUE}
    overrides = [word for number, word in enumerate(arguments) if number not in taken and not word.startswith("-")]
    options = [word for number, word in enumerate(arguments) if number in taken or word.startswith("-")]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come to us instead of being printed
    before = sys.argv
    # Hydra wants a folder for its own notes on a sweep; the sweep's record is ours.
    with tempfile.TemporaryDirectory() as scratch:
        sys.argv = ["attncompare train", *options, *overrides, f"hydra.sweep.dir='{scratch}'"]
        try:
            check_conf(CONF_DIR)
            check_arguments(overrides, groups_of(CONF_DIR))
            hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="train")(job)()
        except HYDRA_ERRORS as error:
            raise Refused(explain_hydra(error)) from None
        except (AssertionError, TypeError, ValueError) as error:
            if not raised_by_hydra(error):
                raise
            raise Refused(f"cannot compose the config: {shown(str(error))}") from None
        except RecursionError:
            raise Refused("the config is nested too deeply, or its references go in a circle") from None
        finally:
            sys.argv = before


def _train_one(config: "RunConfig", overrides: list[str]) -> None:
    from attncompare.sweep.progress_board import boarded

    def work(**shown: Any) -> "Run":
        with importing():
            from attncompare.training.run import train as train_one

        return train_one(config, overrides, **shown)

    label = f"{config.task.name} {config.attention.name}" if config.resume is None else f"resume {config.resume}"
    run = boarded(label, work, None if config.resume is None else Path(config.resume))
    print(run.path)
