"""Models for the chapters: each trained once, as many at a time as there are cores, and kept as an ordinary run.

The runs are those of a sweep, so that one that is there already, made by the same code, is not trained again.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from attncompare.config import CONF_DIR, RunConfig, parse_composed
from attncompare.config.messages import HYDRA_ERRORS, explain_hydra
from attncompare.errors import Refused
from attncompare.inference.trained import TrainedRun
from attncompare.sweep.folder import Job, Members, start

RUNS = Path("runs/primer")
"""Where the runs go."""
QUICK = False
"""Whether models are trained for some steps alone: enough to see that all works, too few to see anything in a map."""
QUICK_STEPS = 20
_ALL = ("tracking.wandb=disabled", "tracking.images=0")


@contextmanager
def trained_in(runs: Path, quick: bool) -> Iterator[None]:
    """Keep runs in the folder ``runs``, and train them ``quick`` or to their end, for as long as this lasts."""
    global RUNS, QUICK
    before = RUNS, QUICK
    RUNS, QUICK = runs, quick
    try:
        yield
    finally:
        RUNS, QUICK = before


def config(lesson: str) -> RunConfig:
    """Return the config of the words that would stand behind ``attncompare train``; raises Refused if there is none."""
    return _job(lesson).config


def train(*lessons: str) -> list[TrainedRun]:
    """Return a trained model for each of ``lessons``, the words that would stand behind ``attncompare train``.

    Those that are not there yet are trained, side by side. Raises Refused, RunFailed and KeyboardInterrupt as a sweep.
    """
    from attncompare.sweep.pool import train_here

    jobs = [_job(lesson) for lesson in lessons]
    folder = start(jobs, "attncompare primer", partial(train_here, workers=None), fresh=False)
    runs = Members.read(folder).runs
    return [TrainedRun(runs[job.config.hash()]) for job in jobs]


def _job(lesson: str) -> Job:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    quick = [f"trainer.max_steps={QUICK_STEPS}", f"trainer.validate_every={QUICK_STEPS}"] if QUICK else []
    words = [*shlex.split(lesson), *_ALL, *quick, f"runs={RUNS}"]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            return Job(parse_composed(compose("train", overrides=words)), tuple(words))
    except HYDRA_ERRORS as error:
        raise Refused(f"{lesson}: {explain_hydra(error)}") from None
