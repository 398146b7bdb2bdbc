"""Runs with accumulation, averaging, patience or a time budget, stopped and resumed: the same bits."""

import pytest
from clocked import FakeClock
from outcomes import assert_same
from resumable import RUN

from attncompare.errors import Refused
from attncompare.tasks import Task
from attncompare.training.callback import Tracking
from attncompare.training.checkpoint import load_checkpoint
from attncompare.training.run import resume, train

ENDLESS = ("trainer.max_steps=1000", "trainer.validate_every=2")
RECIPES = {
    "accumulate": ("trainer.accumulate=3",),
    "average_last": ("trainer.average_last=2", "trainer.validate_every=2"),
    "patience": (*ENDLESS, "trainer.patience=2"),
    "patience and average_last": (*ENDLESS, "trainer.patience=2", "trainer.average_last=5", "trainer.accumulate=2"),
}
TIMED = (
    *(*RUN, "trainer.max_steps=1000", "trainer.validate_every=30", "trainer.max_time=90", "trainer.log_every=7"),
    "optimizer.warmup_steps=20",
)


@pytest.fixture
def worse_and_worse(monkeypatch):
    """After the second validation, at step 4, no loss of val is as low again."""
    evaluate = Task.evaluate

    def evaluated(self, *arguments):
        return {**evaluate(self, *arguments), "loss": 1.0 + abs(self.step - 4) / 10}

    monkeypatch.setattr(Task, "evaluate", evaluated)


@pytest.mark.usefixtures("worse_and_worse")
@pytest.mark.parametrize("recipe", RECIPES)
def test_stopped_after_any_step_and_resumed_it_is_the_same_run(make_config, recipe):
    overrides = (*RUN, *RECIPES[recipe])
    whole = train(make_config(*overrides))
    if "patience" in recipe:
        assert (whole.summary["steps"], whole.summary["best_step"], whole.summary["ended_by"]) == (8, 4, "patience")
    for step in (1, 6, 8):
        stopped = train(make_config(*overrides), stop_after=step)
        assert (stopped.state, load_checkpoint(stopped.path)[0]) == ("interrupted", step)
        assert_same(resume(stopped.path), whole)


def test_from_the_checkpoint_before_the_newest_the_average_is_the_same(make_config, monkeypatch):
    overrides = (*RUN, "trainer.average_last=3", "trainer.validate_every=2")
    whole = train(make_config(*overrides))
    assert whole.summary["averaged"]["steps"] == [6, 8, 9]
    folders, save_maps = [], Tracking._save_maps

    def interrupted(self, step):
        if step == 8:
            raise KeyboardInterrupt
        save_maps(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(Tracking, "_save_maps", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(make_config(*overrides), on_folder=folders.append)
    (folders[0] / "checkpoints" / "resume-0000008.safetensors").write_bytes(b"spoilt")
    resumed = resume(folders[0])
    assert resumed.summary["resumed"][0]["step"] == 6
    assert_same(resumed, whole)


def test_without_the_weights_that_it_will_average_a_run_is_not_resumed(make_config):
    stopped = train(make_config(*RUN, "trainer.average_last=3", "trainer.validate_every=2"), stop_after=7)
    for damage, said in ((b"spoilt", "not what was written"), (None, "cannot be read")):
        file = stopped.path / "checkpoints" / "snapshot-0000004.safetensors"
        file.write_bytes(damage) if damage else file.unlink()
        with pytest.raises(Refused, match=rf"snapshot-0000004.safetensors: {said}, and the average needs it"):
            resume(stopped.path)


@pytest.mark.parametrize("stop", [3, 52, 60, 75])  # before the plan, after it, before a validation, near the end
def test_a_run_with_a_time_budget_goes_on_with_its_plan_and_its_time(make_config, monkeypatch, stop):
    clock = FakeClock(monkeypatch)
    whole = train(make_config(*TIMED))
    assert (whole.summary["planned_after"], whole.summary["planned_steps"]) == (50, 90)
    assert (whole.summary["steps"], whole.summary["ended_by"]) == (90, "max_time")
    stopped = train(make_config(*TIMED), stop_after=stop)
    clock.now += 1000.0  # between an interruption and its resumption nothing is counted
    assert_same(resume(stopped.path), whole)


def test_a_plan_that_was_made_after_the_newest_checkpoint_stays(make_config, monkeypatch):
    clock = FakeClock(monkeypatch)
    whole = train(make_config(*TIMED))
    stopped = train(make_config(*TIMED), stop_after=52)
    for file in stopped.path.glob("checkpoints/resume-0000052*"):
        file.unlink()
    clock.pace = 0.01  # a faster machine would plan more steps
    resumed = resume(stopped.path)
    assert resumed.summary["resumed"][0]["step"] == 30
    assert_same(resumed, whole)


@pytest.mark.parametrize("wrong", [{"planned_steps": 10**9}, {"planned_steps": 0}, {"planned_after": "x"}])
def test_a_plan_that_cannot_be_is_refused(make_config, monkeypatch, wrong):
    import json

    FakeClock(monkeypatch)
    stopped = train(make_config(*TIMED), stop_after=52)
    file = stopped.path / "summary.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **wrong}))
    with pytest.raises(Refused, match=r"summary.json: damaged \(its plan of steps cannot be\)"):
        resume(stopped.path)
