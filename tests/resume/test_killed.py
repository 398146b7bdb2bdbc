"""Killed without warning, in training, in a write, or at the end, and resumed: the same run as one that never was."""

import random

import pytest
from killing import BEGINNING, train_until_killed
from outcomes import assert_same
from resumable import LONGER, RUN

from attncompare.record import Run
from attncompare.training.run import resume


@pytest.mark.parametrize("share", [0.15, 0.4, 0.65, 0.9])
def test_killed_in_the_middle_of_a_write_and_resumed_it_is_the_same_run(make_config, uninterrupted, share):
    _, _, whole = train_until_killed(make_config(*RUN))
    folder, _, ended = train_until_killed(make_config(*RUN), at_write=int(share * whole["writes"]))
    assert ended is None
    run = Run.open(folder)
    assert run.state == "running" and not run.alive()
    assert "was killed while it was running; go on with: attncompare train --resume" in run.standing()
    assert_same(resume(folder), uninterrupted)


@pytest.mark.long
def test_killed_in_any_write_and_resumed_it_is_the_same_run(make_config, uninterrupted):
    _, _, whole = train_until_killed(make_config(*RUN))
    survived = 0
    for number in range(whole["writes"]):
        folder, _, ended = train_until_killed(make_config(*RUN), at_write=number)
        assert ended is None
        if folder:  # else there is no run yet
            assert_same(resume(folder), uninterrupted)
            survived += 1
    assert survived == whole["writes"] - BEGINNING
    print(f"killed in each of {whole['writes']} writes, {survived} of them after the record had begun")


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
