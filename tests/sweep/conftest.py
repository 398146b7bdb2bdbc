"""Sweeps that train nothing: what a launcher would leave is written by hand."""

import functools

import pytest

from attncompare.record import RecordLogger, create_folder, processor
from attncompare.sweep import reuse
from attncompare.sweep.folder import Job, start


@pytest.fixture(scope="session")
def leave():
    """Leave the record of a run in some state, in the folder that it has already if it was begun."""

    def leave(sweep, job, state):
        path = job.begun or create_folder(job.config, sweep.path)
        facts = {"wandb": {"id": "abcdefgh"}, "made_with": sweep.file.made_with}
        writer = RecordLogger.create(path, job.config, job.overrides, group=sweep.group, **facts)
        writer.environment({**processor(), "device": "cpu"})
        if state != "running":
            writer.close(state, None if state == "finished" else "for a test")
        return path

    return leave


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    """The machine has no GPU, without asking torch."""
    monkeypatch.setattr(reuse, "_device", lambda: "cpu")


@pytest.fixture
def launcher(leave):
    """Leave each run in the state of its seed, else finished; remember which runs were given."""

    def launch(sweep, jobs, _):
        launch.sweeps.append(sweep)
        launch.given.append([job.config.seed for job in jobs])
        for job in jobs:
            state = launch.states.get(job.config.seed, "finished")
            if state == "ctrl-c":
                raise KeyboardInterrupt
            if state != "waiting":
                leave(sweep, job, state)

    launch.states, launch.given, launch.sweeps = {}, [], []
    return launch


@pytest.fixture
def jobs_of(make_config):
    """Make jobs from overrides, one string each."""
    composed = functools.cache(make_config)  # which takes a while, and seeds need not

    def job(line):
        asked = line.split()
        config = composed(*(override for override in asked if not override.startswith("seed=")))
        seeds = [int(override.removeprefix("seed=")) for override in asked if override.startswith("seed=")]
        return Job(config.model_copy(update={"seed": seeds[0]}) if seeds else config, tuple(asked))

    return lambda *lines: list(map(job, lines))


@pytest.fixture
def begin(launcher, jobs_of):
    """Start the sweep of the given runs, as ``attncompare train -m`` would."""

    def begin(*lines, fresh=False):
        return start(jobs_of(*lines), "attncompare train -m", launcher, fresh=fresh)

    return begin
