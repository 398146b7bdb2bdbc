"""When training ends: by steps, by the clock, by patience; and what a time budget plans."""

from pathlib import Path

import pytest
from clocked import FakeClock
from commands import SMOKE

from attncompare.errors import Refused
from attncompare.tasks import Task
from attncompare.tasks.schedule import lr_factor
from attncompare.training.ending import Ending
from attncompare.training.run import train

QUIET = (*SMOKE, "tracking=disabled", "tracking.probes=0")
TIMED = ("trainer.max_time=100", "trainer.max_steps=1000", "optimizer.warmup_steps=20")


def run_by_clock(make_config, *overrides, pace=lambda _: 1.0):
    """Step through a run whose steps take ``pace(step)`` seconds; return its ending and its last step."""
    ending, seconds = Ending(make_config(*QUIET, *TIMED, *overrides), {}, Path()), 0.0
    for step in range(1, 10_000):
        seconds += pace(step)
        ending.step_done(step, seconds)
        if ending.reason(step, step) is not None:
            return ending, step
    raise AssertionError("it never ends")


def test_a_steady_pace_gives_as_many_steps_as_fit_and_they_take_the_time(make_config):
    ending, last = run_by_clock(make_config, pace=lambda _: 0.25)
    assert (ending.plan.after, ending.plan.steps, last) == (50, 400, 400)
    assert ending.reason(last, last) == "max_time"


def test_it_plans_once_after_the_warm_up_at_least_50_steps_and_5_percent_of_the_time(make_config):
    assert run_by_clock(make_config, "optimizer.warmup_steps=70", pace=lambda _: 0.25)[0].plan.after == 70
    assert run_by_clock(make_config, pace=lambda _: 0.0625)[0].plan.after == 80
    ending, _ = run_by_clock(make_config, pace=lambda step: 1.0 if step < 60 else 0.1)
    assert ending.plan.steps == 100  # what came later changes nothing


def test_slow_first_steps_do_not_count_for_the_pace(make_config):
    ending, _ = run_by_clock(make_config, pace=lambda step: 2.0 if step <= 10 else 0.5)
    assert ending.plan.steps == 50 + (100 - 20 - 20) / 0.5


def test_where_the_pace_drops_the_time_ends_it_before_the_plan(make_config):
    ending, last = run_by_clock(make_config, pace=lambda step: 1.0 if step <= 60 else 10.0)
    assert (ending.plan.steps, ending.last, last) == (100, 64, 64)
    ending, last = run_by_clock(make_config, pace=lambda _: 4.0)  # over before it could plan
    assert (ending.plan.after, ending.plan.steps, last) == (25, 25, 25)


def test_max_steps_bound_it(make_config):
    ending, last = run_by_clock(make_config, "trainer.max_steps=80")
    assert (ending.plan.steps, last, ending.reason(80, 80)) == (80, 80, "max_steps")


def test_without_a_clock_the_time_means_nothing(make_config):
    ending = Ending(make_config(*QUIET, "trainer.max_steps=30"), {}, Path())
    assert not ending.step_done(5, 1e9)
    assert (ending.plan, ending.last, ending.reason(29, 1), ending.reason(30, 1)) == (None, 30, None, "max_steps")


def test_patience_counts_validations_since_the_best(make_config):
    ending = Ending(
        make_config(*QUIET, "trainer.max_steps=100", "trainer.validate_every=5", "trainer.patience=3"), {}, Path()
    )
    assert [ending.reason(step, best) for step, best in ((10, 10), (20, 10), (25, 10), (30, 20))] == [
        *(None, None),
        "patience",
        None,
    ]


def test_a_time_is_written_in_seconds_or_as_a_clock_shows_it(make_config):
    for text in ("'01:02:03'", "3723", "3723.0"):
        assert make_config(*QUIET, f"trainer.max_time={text}").trainer.max_time == 3723.0
    for wrong in ("0", "-1", "'1:60:00'", "'00:00:00'", "soon"):
        with pytest.raises(
            Refused, match=r"trainer.max_time=.*: must be a positive number of seconds, HH:MM:SS, or null"
        ):
            make_config(*QUIET, f"trainer.max_time={wrong}")
    with pytest.raises(Refused, match=r"max_time=9 with devices=2: .*; leave max_time out, or set devices=1"):
        make_config(*QUIET, "trainer.max_time=9", "trainer.devices=2")


def test_the_learning_rate_waits_for_the_plan_and_then_goes_by_it(make_config, monkeypatch):
    FakeClock(monkeypatch)
    config = make_config(*QUIET, *TIMED, "trainer.log_every=1", "trainer.validate_every=1000")
    run = train(config)
    assert (run.summary["steps"], run.summary["planned_steps"], run.summary["planned_after"]) == (100, 100, 50)
    # A row holds the rate that the step after it will have.
    rates = {row["step"]: row["train/lr"] / config.optimizer.lr for row in run.metrics() if "train/lr" in row}
    assert [rates[step] for step in (20, 30, 50)] == pytest.approx([1, 1, 1])
    for step in (51, 70, 99):
        assert rates[step] == pytest.approx(lr_factor(step, config.optimizer, 100))
    assert rates[99] == pytest.approx(config.optimizer.min_lr_ratio)


def test_neither_validation_nor_test_is_training_time(make_config, monkeypatch):
    clock, evaluate = FakeClock(monkeypatch), Task.evaluate

    def slow(self, *arguments):
        clock.now += 1000.0
        return evaluate(self, *arguments)

    monkeypatch.setattr(Task, "evaluate", slow)
    run = train(make_config(*QUIET, *TIMED, "trainer.validate_every=40", "trainer.average_last=2"))
    assert (run.summary["steps"], run.summary["cost"]["train_seconds"]) == (100, 100.0)
    assert run.metrics()[-1]["train/seconds"] == 100.0


@pytest.mark.parametrize("devices", [1, 2])
def test_no_better_for_so_many_validations_it_ends_and_is_tested_at_its_best(make_config, monkeypatch, devices):
    evaluate = Task.evaluate
    monkeypatch.setattr(
        Task, "evaluate", lambda self, *rest: {**evaluate(self, *rest), "loss": abs(self.step - 4) + 1.0}
    )
    run = train(
        make_config(
            *QUIET,
            *("trainer.max_steps=1000", "trainer.validate_every=2", "trainer.patience=3"),
            *("trainer.accelerator=cpu", f"trainer.devices={devices}"),
        )
    )
    assert run.state == "finished" and run.summary["tested"] == "best"
    assert (run.summary["steps"], run.summary["best_step"], run.summary["ended_by"]) == (10, 4, "patience")
    assert [row["step"] for row in run.metrics() if "val/loss" in row] == [2, 4, 6, 8, 10]
    assert "training ended at step 10 by trainer.patience" in (run.path / "run.log").read_text()
    assert run.summary["training_state_sha256"]
