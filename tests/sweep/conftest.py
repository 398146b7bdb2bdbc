"""Sweeps that train nothing: what a launcher would leave is written by hand."""

import functools

import pytest
from left_records import leave

from attncompare.sweep.job import Job
from attncompare.sweep.start import start


class Launcher:
    """Leaves each run in a state: that of its seed, else finished; remembers which runs it was given."""

    def __init__(self):
        self.states, self.given, self.sweeps = {}, [], []

    def __call__(self, sweep, jobs, _):
        self.sweeps.append(sweep)
        self.given.append([job.config.seed for job in jobs])
        for job in jobs:
            state = self.states.get(job.config.seed, "finished")
            if state == "ctrl-c":
                raise KeyboardInterrupt
            if state != "waiting":
                leave(sweep, job, state)


@pytest.fixture
def launcher():
    return Launcher()


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
