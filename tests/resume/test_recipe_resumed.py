"""Runs with accumulation, averaging, patience or a time budget, stopped and resumed: the same bits."""

import pytest
from outcomes import assert_same
from resumable import RUN

from attncompare.tracking.checkpoint import load_checkpoint
from attncompare.train import resume, train

RECIPES = {"accumulate": ("trainer.accumulate=3",)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_stopped_after_any_step_and_resumed_it_is_the_same_run(make_config, recipe):
    overrides = (*RUN, *RECIPES[recipe])
    whole = train(make_config(*overrides))
    for step in (1, 4, 6):
        stopped = train(make_config(*overrides), stop_after=step)
        assert load_checkpoint(stopped.path)[0] == step
        assert_same(resume(stopped.path), whole)
