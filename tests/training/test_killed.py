"""Signalled or killed in a process of its own, and resumed: the bits of the uninterrupted run."""

import random
import signal

import pytest
from killed_process import BEGINNING, train_until_killed
from outcomes import assert_same
from training_runs import LONGER, RUN

from attncompare.record import Run
from attncompare.training.run import resume


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_killed_in_the_middle_of_a_write_and_resumed_it_is_the_same_run(make_config, uninterrupted, writes, share):
    folder, _, ended = train_until_killed(make_config(*RUN), at_write=int(share * writes))
    assert ended is None
    run = Run.open(folder)
    assert run.state == "running" and not run.alive()
    assert "killed" in run.standing() and "attncompare train --resume" in run.standing()
    assert_same(resume(folder), uninterrupted)


STOPS = {  # the first five in every test run
    "SIGTERM in training": (signal.SIGTERM, ("training", 70)),
    "Ctrl-C in training": (signal.SIGINT, ("training", 33)),
    "Ctrl-C in a validation": (signal.SIGINT, ("validating", 60)),
    "SIGKILL in training": (signal.SIGKILL, ("training", 70)),
    "SIGKILL in the test": (signal.SIGKILL, ("testing", 120)),
    "SIGTERM in the first steps": (signal.SIGTERM, ("training", 1)),
    "Ctrl-C in the last validation": (signal.SIGINT, ("validating", 120)),
    "SIGKILL in a validation": (signal.SIGKILL, ("validating", 80)),
}


@pytest.mark.parametrize(
    "stop", [*list(STOPS)[:5], *(pytest.param(one, marks=pytest.mark.long) for one in list(STOPS)[5:])]
)
def test_a_real_signal_in_another_process_then_resumed_it_is_the_same_run(make_config, longer, stop):
    number, at = STOPS[stop]
    folder, _, ended = train_until_killed(make_config(*LONGER), at=at, number=number)
    run = Run.open(folder)
    if number == signal.SIGKILL:
        assert (ended, run.state) == (None, "running")
    else:
        assert (ended, run.state) == ("KeyboardInterrupt", "interrupted")
        assert run.summary["message"].endswith("SIGTERM" if number == signal.SIGTERM else "Ctrl-C")
    assert not run.alive()
    assert_same(resume(folder), longer)


@pytest.mark.long
def test_killed_in_any_write_and_resumed_it_is_the_same_run(make_config, uninterrupted, writes):
    survived = 0
    for number in range(writes):
        folder, _, ended = train_until_killed(make_config(*RUN), at_write=number)
        assert ended is None
        if folder:  # else there is no run yet
            assert_same(resume(folder), uninterrupted)
            survived += 1
    assert survived == writes - BEGINNING
    print(f"killed in each of {writes} writes, {survived} of them after the record had begun")


@pytest.mark.long
def test_killed_at_fifty_random_moments_and_resumed_it_is_the_same_run(make_config, longer):
    _, _, whole = train_until_killed(make_config(*LONGER))
    moments, phases = random.Random(1), []
    while len(phases) < 50:
        share = moments.uniform(0.85, 1.0) if len(phases) % 3 == 0 else moments.uniform(0, 1)  # the end is short
        folder, phase, ended = train_until_killed(make_config(*LONGER), after=share * whole["seconds"])
        while folder and ended is None and moments.random() < 0.3:  # some are killed more than once
            folder, phase, ended = train_until_killed(None, after=moments.uniform(0, 1), resume=folder)
        if ended is None and folder:
            phases.append(phase)
            assert_same(resume(folder), longer)
    assert {"training", "validating"} < set(phases)  # and some of the end
    print({phase: phases.count(phase) for phase in sorted(set(phases))})
