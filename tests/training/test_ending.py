"""When training ends: by steps, by the clock, by patience; and what a time budget plans."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
from clocked import FakeClock
from commands import SMOKE
from outcomes import assert_same
from training_runs import NO_TRACKING

from attncompare.errors import Refused
from attncompare.record import Run
from attncompare.tasks import Task
from attncompare.tasks.base import lr_factor
from attncompare.training.ending import Budget, most_steps
from attncompare.training.run import resume, train

RUN = (*SMOKE, *NO_TRACKING)
TIMED = ("trainer.max_time=100", "trainer.max_steps=1000", "optimizer.warmup_steps=20")


def run_by_clock(make_config, *overrides, pace=lambda _: 1.0):
    """Step through a run whose steps take ``pace(step)`` seconds; return its plan, its last step and what ended it."""
    return stepped(make_config(*RUN, *TIMED, *overrides), pace)


def stepped(config, pace=lambda _: 1.0, epoch_steps=30):
    task = SimpleNamespace(config=config, plan=None, last_step=config.trainer.max_steps, seconds=0.0)
    budget = Budget(task, most_steps(config.trainer, epoch_steps), {}, lambda _: None, Path())
    trainer = SimpleNamespace(global_step=0, should_stop=False)
    while not trainer.should_stop:
        trainer.global_step += 1
        task.seconds += pace(trainer.global_step)
        budget.on_train_batch_end(trainer, task)
    assert budget.is_due(trainer.global_step)  # the last step is validated
    return task.plan, trainer.global_step, budget.ended_by(trainer.global_step, None)


def test_a_steady_pace_gives_as_many_steps_as_fit_and_they_take_the_time(make_config):
    plan, last, ended_by = run_by_clock(make_config, pace=lambda _: 0.25)
    assert (plan.after, plan.steps, last, ended_by) == (50, 400, 400, "max_time")


def test_it_plans_once_after_the_warm_up_at_least_50_steps_and_5_percent_of_the_time(make_config):
    assert run_by_clock(make_config, "optimizer.warmup_steps=70", pace=lambda _: 0.25)[0].after == 70
    assert run_by_clock(make_config, pace=lambda _: 0.0625)[0].after == 80
    plan, _, _ = run_by_clock(make_config, pace=lambda step: 1.0 if step < 60 else 0.1)
    assert plan.steps == 100  # what came later changes nothing


def test_slow_first_steps_do_not_count_for_the_pace(make_config):
    plan, _, _ = run_by_clock(make_config, pace=lambda step: 2.0 if step <= 10 else 0.5)
    assert plan.steps == 50 + (100 - 20 - 20) / 0.5


def test_where_the_pace_drops_the_time_ends_it_before_the_plan(make_config):
    plan, last, ended_by = run_by_clock(make_config, pace=lambda step: 1.0 if step <= 60 else 10.0)
    assert (plan.steps, ended_by) == (100, "max_time")
    assert last == 65  # one step after the clock, so that the row of the last step can be logged
    plan, last, _ = run_by_clock(make_config, pace=lambda _: 4.0)  # over before it could plan
    assert plan.after == 25 and last <= 26


def test_max_steps_bound_it(make_config):
    plan, last, ended_by = run_by_clock(make_config, "trainer.max_steps=80")
    assert (plan.steps, last, ended_by) == (80, 80, "max_steps")


@pytest.mark.parametrize(
    ("limits", "steps", "ended_by"),
    [
        (("max_epochs=3",), 9, "max_epochs"),
        (("max_epochs=3", "max_steps=7"), 7, "max_steps"),
        (("max_epochs=3", "max_steps=1000"), 9, "max_epochs"),
        (("max_epochs=3", "max_steps=9"), 9, "max_steps"),
        (("max_epochs=3", "max_time=5"), 5, "max_time"),
        (("max_epochs=400",), 1200, "max_epochs"),  # beyond the default of max_steps
    ],
)
def test_the_first_limit_that_is_reached_ends_it(make_config, limits, steps, ended_by):
    config = make_config(*RUN, "trainer.max_steps=null", *(f"trainer.{limit}" for limit in limits))
    _, last, found = stepped(config, epoch_steps=3)
    assert (last, found) == (steps, ended_by)


def test_without_a_limit_in_epochs_the_default_is_one_in_steps(make_config):
    assert make_config(*RUN, "trainer.max_steps=null").trainer.max_steps == 1000
    assert make_config("trainer.max_epochs=3").trainer.max_steps is None


@pytest.mark.parametrize("parts", [1, 2])
def test_the_schedule_goes_by_the_steps_of_the_epochs(make_config, parts):
    overrides = ("trainer.max_steps=null", "trainer.max_epochs=2", "trainer.limit_batches=null", "trainer.log_every=1")
    config = make_config(*RUN, *overrides, f"trainer.accumulate={parts}", "optimizer.schedule=linear")
    steps = 2 * 19  # 300 rows in batches of 16
    half = train(config, stop_after=11)
    run = resume(half.path)
    assert (run.summary["steps"], run.summary["ended_by"], half.summary["most_steps"]) == (steps, "max_epochs", steps)
    rows = [row for row in run.metrics() if "train/lr" in row]
    assert [row["epoch"] for row in rows] == [0] * 19 + [1] * 19
    for row in rows:
        factor = lr_factor(int(row["step"]) - 1, config.optimizer, steps)
        assert row["train/lr"] == pytest.approx(factor * config.optimizer.lr)
    assert_same(run, train(config))


def test_the_learning_rate_waits_for_the_plan_and_then_goes_by_it(make_config, monkeypatch):
    FakeClock(monkeypatch)
    config = make_config(*RUN, *TIMED, "trainer.log_every=1", "trainer.validate_every=1000")
    run = train(config)
    assert (run.summary["steps"], run.summary["planned_steps"], run.summary["planned_after"]) == (100, 100, 50)
    rates = {row["step"]: row["train/lr"] / config.optimizer.lr for row in run.metrics() if "train/lr" in row}
    assert [rates[step] for step in (21, 30, 51)] == pytest.approx([1, 1, 1])
    for step in (52, 70, 100):  # a row holds the rate of its step
        assert rates[step] == pytest.approx(lr_factor(step - 1, config.optimizer, 100))
    assert rates[100] == pytest.approx(config.optimizer.min_lr_ratio)


def test_neither_validation_nor_test_is_training_time(make_config, monkeypatch):
    clock, validation_step = FakeClock(monkeypatch), Task.validation_step

    def slow(self, *arguments):
        clock.now += 1000.0
        return validation_step(self, *arguments)

    monkeypatch.setattr(Task, "validation_step", slow)
    run = train(make_config(*RUN, *TIMED, "trainer.validate_every=40", "trainer.average_last=2"))
    assert (run.summary["steps"], run.summary["cost"]["train_seconds"]) == (100, 100.0)
    assert run.metrics()[-1]["train/seconds"] == 100.0


def test_without_a_better_validation_for_so_long_it_ends_and_is_tested_at_its_best(make_config, monkeypatch):
    log_row = Task.log_row

    def logged(self, values, step, prog_bar):
        return log_row(
            self, values | ({"val/loss": max(abs(step - 5), 1.0)} if "val/loss" in values else {}), step, prog_bar
        )

    monkeypatch.setattr(Task, "log_row", logged)
    run = train(make_config(*RUN, "trainer.max_steps=1000", "trainer.validate_every=2", "trainer.patience=3"))
    # Losses of 3, 1, 1, 3 and 5: of equal ones the first is the best.
    assert run.state == "finished" and run.summary["tested"] == "best"
    assert (run.summary["steps"], run.summary["best_step"], run.summary["ended_by"]) == (10, 4, "patience")
    assert [row["step"] for row in run.metrics() if "val/loss" in row] == [2, 4, 6, 8, 10]


def test_the_monitored_metric_chooses_the_best_weights_and_drives_patience_in_its_own_direction(
    make_config, monkeypatch
):
    log_row = Task.log_row
    bleu = {2: math.nan, 4: 10.0, 6: 30.0, 8: 30.0, 10: 20.0}

    def logged(self, values, step, prog_bar):
        faked = {"val/loss": float(step), "val/bleu": bleu[step]} if "val/loss" in values else {}
        return log_row(self, values | faked, step, prog_bar)

    monkeypatch.setattr(Task, "log_row", logged)
    overrides = ("trainer.max_steps=1000", "trainer.validate_every=2", "trainer.patience=2", "trainer.monitor=bleu")
    run = train(make_config(*RUN, *overrides))
    assert (run.summary["steps"], run.summary["best_step"], run.summary["ended_by"]) == (10, 6, "patience")
    assert Run.open(run.path).config.trainer.monitor == "bleu"


def test_only_a_metric_of_the_task_can_be_monitored(make_config):
    with pytest.raises(Refused, match=r"trainer.monitor.*bits_per_byte.*valid: .*bleu"):
        make_config("trainer.monitor=bits_per_byte")
