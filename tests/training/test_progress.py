"""What is told of a run where no terminal shows a bar: by the nearer limit, and at least once a minute."""

import re
from types import SimpleNamespace

import pytest
from commands import SMOKE
from training_runs import NO_TRACKING

from attncompare.training import progress, progress_callbacks
from attncompare.training.ending import Budget, most_steps
from attncompare.training.progress import Lines, Progress
from attncompare.training.progress_callbacks import Report
from attncompare.training.run import train


@pytest.fixture
def clock(monkeypatch):
    """Seconds, which move only when a test moves them."""
    clock = SimpleNamespace(now=1000.0)
    for module in (progress, progress_callbacks):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def lines_of(clock, config, seconds, tmp_path, validation=300):
    """Step through a training whose steps take so long; return for each line when it came, and the line."""
    row = {}
    task = SimpleNamespace(config=config, plan=None, seconds=0.0, row=row)
    budget = Budget(task, most_steps(config.trainer, 30), {}, lambda _: None, tmp_path)
    told, began = [], clock.now
    report = Report(Lines("it", lambda line: told.append((clock.now - began, line))), budget)
    trainer = SimpleNamespace(global_step=0, should_stop=False, state=SimpleNamespace(fn="fit"), callback_metrics={})
    report.on_train_start(trainer, task)
    while not trainer.should_stop:
        trainer.global_step += 1
        clock.now += seconds
        task.seconds += seconds
        if trainer.global_step % config.trainer.log_every == 0:
            row |= {"step": trainer.global_step, "train/loss": 2.5, "train/tokens_per_second": 1234.0}
        budget.on_train_batch_end(trainer, task)
        report.on_train_batch_end(trainer, task)
        if trainer.global_step == 4:
            report.on_validation_start(trainer, task)
            clock.now += validation
            report.on_validation_batch_end(trainer, task)
            trainer.callback_metrics = {"val/loss": SimpleNamespace(item=lambda: 3.25)}
            report.on_validation_end(trainer, task)
    return told, clock.now - began


@pytest.mark.parametrize("seconds", [0.5, 4.0, 20.0])
@pytest.mark.parametrize("limit", ["max_time=1800", "max_epochs=20", "max_steps=400"])
def test_a_line_comes_at_least_once_a_minute_whatever_limits_the_training(clock, make_config, tmp_path, seconds, limit):
    most = "null" if "epochs" in limit else 100000
    config = make_config(*SMOKE, *NO_TRACKING, f"trainer.max_steps={most}", f"trainer.{limit}", "trainer.log_every=20")
    told, took = lines_of(clock, config, seconds, tmp_path)
    times = [time for time, _ in told]
    gaps = [later - before for before, later in zip([0.0, *times], [*times, took], strict=True)]
    assert sorted(gaps)[-2] <= 60 and max(gaps) <= 330  # one batch of the validation takes 300 s
    assert len(told) <= took / 50 + 8
    shares = [int(re.search(r"(\d+)% done", line)[1]) for _, line in told]
    assert shares == sorted(shares) and shares[-1] >= 97
    last = told[-1][1]
    assert all(words in last for words in ("it: training step ", "loss 2.500", "val loss 3.2500", "1.23 k tokens/s"))


def test_the_time_left_is_that_of_the_nearer_limit(clock, make_config, tmp_path):
    config = make_config(*SMOKE, *NO_TRACKING, "trainer.max_steps=100000", "trainer.max_time=1800")
    told, took = lines_of(clock, config, 20.0, tmp_path, validation=20)
    for time, line in told:
        if time > 300:  # the pace of some steps is known
            left = int(re.search(r"about (\d+) (min|s) left", line)[1])
            left = left * 60 if " min left" in line else left
            assert left == pytest.approx(took - time, rel=0.2, abs=60)


def test_a_run_tells_loss_validation_speed_and_share(make_config):
    told = []
    train(
        make_config(*SMOKE, *NO_TRACKING, "trainer.max_steps=4", "trainer.monitor=exact_match"), on_progress=told.append
    )
    training = [one for one in told if one.phase == "training"]
    assert [(one.step, one.share) for one in training] == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]
    assert all(one.loss > 0 and one.tokens_per_second > 0 for one in training)
    assert [one.val is None for one in training] == [True, True, False, False]
    assert training[-1].val.startswith("val exact match ") and training[-1].seconds_left == 0


def test_of_a_validation_only_a_long_one_is_said(clock):
    said = []
    lines = Lines("it", said.append)
    for phase, seconds in (("training", 0), ("validating", 1), ("training", 2), ("validating", 3), ("validating", 70)):
        clock.now = 1000.0 + seconds
        lines(Progress(phase, 5, 100))
    assert said == ["it: training step 5/100", "it: validating step 5/100"]
