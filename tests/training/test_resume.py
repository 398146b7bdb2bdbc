"""Stopped after any step, moved, or with a damaged checkpoint, and resumed: the bits of the uninterrupted run."""

import json
import os
import shutil
import signal

import pytest
from clocked import FakeClock
from commands import composed_config
from outcomes import assert_same
from training_runs import LANGUAGE_MODEL, MASKED, RUN

from attncompare.errors import Refused
from attncompare.maps import AttentionMaps
from attncompare.record import Run, code
from attncompare.tasks import Task
from attncompare.training import run as training_run
from attncompare.training.checkpoint import ResumeCheckpoint, SafeCheckpointIO, Weights, checkpoint_files
from attncompare.training.run import resume, train

BY_TOKENS = (*RUN, "data.batch_size=null", "data.batch_tokens=200", "trainer.limit_batches=null")
ENDLESS = ("trainer.max_steps=1000", "trainer.validate_every=2")
# Each recipe with the steps after which the same run is stopped, one after the other. RUN validates after 4, 8 and 9.
RECIPES = {
    "plain": (RUN, (1, 2, 3, 4, 5, 6, 7, 8)),
    "accumulate 2": ((*RUN, "trainer.accumulate=2"), (1, 3, 4, 5)),
    "accumulate 3": ((*RUN, "trainer.accumulate=3"), (1, 4, 6, 8)),
    "average_last": ((*RUN, "trainer.average_last=2", "trainer.validate_every=2"), (3, 4, 8)),
    "patience": ((*RUN, *ENDLESS, "trainer.patience=2", "trainer.average_last=5", "trainer.accumulate=2"), (1, 6, 7)),
    "language model": (LANGUAGE_MODEL, (1, 2, 3)),
    "masked language model": (MASKED, (1, 4, 6)),
    "batches by tokens": (BY_TOKENS, (2, 5)),
}


@pytest.fixture
def worse_after_step_4(monkeypatch):
    """After the second validation of those at every second step, no loss of val is as low again."""
    log_row = Task.log_row

    def logged(self, values, step, prog_bar):
        if "val/loss" in values:
            values = {**values, "val/loss": 1.0 + abs(step - 4) / 10}
        return log_row(self, values, step, prog_bar)

    monkeypatch.setattr(Task, "log_row", logged)


@pytest.mark.usefixtures("worse_after_step_4")
@pytest.mark.parametrize("recipe", RECIPES)
def test_stopped_after_step_upon_step_and_resumed_it_is_the_same_run(tmp_path, recipe):
    overrides, steps = RECIPES[recipe]
    reference = train(composed_config(tmp_path / "reference", overrides))
    if recipe == "patience":
        summary = reference.summary
        assert (summary["steps"], summary["best_step"], summary["ended_by"]) == (8, 4, "patience")
    run = train(composed_config(tmp_path / "stopped", overrides), stop_after=steps[0])
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        assert (run.state, run.summary["message"]) == ("interrupted", f"stopped after step {step}, as asked")
        assert not run.alive() and not run.has("predictions.jsonl")
        file, *older = checkpoint_files(run.path)
        assert SafeCheckpointIO().load_checkpoint(file)["global_step"] == step and len(older) <= 1
        run = resume(run.path, stop_after=following)
    assert [entry["step"] for entry in run.summary["resumed"]] == list(steps)
    assert checkpoint_files(run.path) == []
    assert_same(run, reference)


def test_stopped_once_and_resumed_it_is_the_same_run(make_config, uninterrupted):
    """As above, but at a validation, from a run that was never stopped before."""
    stopped = train(make_config(*RUN), stop_after=4)
    assert [row["step"] for row in stopped.metrics()] == [2, 4]
    assert_same(resume(stopped.path), uninterrupted)
    with pytest.raises(Refused, match="stop_after=0"):
        train(make_config(*RUN), stop_after=0)


def press_ctrl_c_at(step, monkeypatch, place, method):
    """Press Ctrl-C once, as ``method`` of a callback begins or ends at ``step``."""
    original = getattr(place, method)

    def interrupted(self, trainer, *arguments):
        result = original(self, trainer, *arguments)
        if getattr(trainer, "global_step", step) == step:
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGINT)
        return result

    monkeypatch.setattr(place, method, interrupted)


PLACES = {
    "before the checkpoint": (ResumeCheckpoint, "on_save_checkpoint"),
    "in the validation": (ResumeCheckpoint, "on_validation_batch_start"),
    "before the maps": (Task, "log_row"),
    "after the maps": (AttentionMaps, "on_validation_epoch_end"),
    "after the weights": (Weights, "on_validation_end"),
}


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_between_two_writes_of_a_validation_loses_nothing(make_config, uninterrupted, monkeypatch, place):
    folders, where = [], PLACES[place]
    if where[0] is Task:
        log_row = Task.log_row

        def logged(self, values, step, prog_bar):
            if step == 4 and "val/loss" in values:
                os.kill(os.getpid(), signal.SIGINT)
            return log_row(self, values, step, prog_bar)

        monkeypatch.setattr(Task, "log_row", logged)
    else:
        press_ctrl_c_at(4, monkeypatch, *where)
    with pytest.raises(KeyboardInterrupt):
        train(make_config(*RUN), on_folder=folders.append)
    monkeypatch.undo()
    if where[0] is not Task:  # and again at the last validation, of the run that was resumed
        press_ctrl_c_at(9, monkeypatch, *where)
        with pytest.raises(KeyboardInterrupt):
            resume(folders[0])
    run = Run.open(folders[0])
    assert run.state == "interrupted" and run.summary["message"].endswith("by Ctrl-C")
    assert_same(resume(folders[0]), uninterrupted)


def test_stopped_before_its_first_checkpoint_it_begins_anew_in_the_same_folder(make_config, uninterrupted, monkeypatch):
    folders = []
    with monkeypatch.context() as patched:
        patched.setattr(training_run, "environment", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(make_config(*RUN), on_folder=folders.append)
    assert Run.open(folders[0]).state == "interrupted"
    assert_same(resume(folders[0]), uninterrupted)


@pytest.mark.parametrize("changes", [None, "code", "machine"])
def test_the_record_says_what_trained_a_run_unless_that_changed_on_the_way(make_config, monkeypatch, changes):
    config = make_config(*RUN)
    stopped = train(config, stop_after=4)
    made = stopped.summary["made_with"]
    assert made == code.made_with([config])
    if changes == "code":
        monkeypatch.setattr(code, "sources", dict)
    elif changes == "machine":
        now = training_run.environment
        monkeypatch.setattr(training_run, "environment", lambda fingerprint: {**now(fingerprint), "cpu": "another"})
    assert resume(stopped.path).summary["made_with"] == (None if changes else made)


def interrupt(*_):
    raise KeyboardInterrupt


def test_ctrl_c_while_a_resumed_run_begins_leaves_it_interrupted(make_config, uninterrupted, monkeypatch):
    stopped = train(make_config(*RUN), stop_after=3)
    with monkeypatch.context() as patched:
        patched.setattr(training_run, "environment", interrupt)
        with pytest.raises(KeyboardInterrupt):
            resume(stopped.path)
    assert Run.open(stopped.path).state == "interrupted"
    assert_same(resume(stopped.path), uninterrupted)


def test_stopped_while_it_is_tested_it_is_not_trained_again(make_config, uninterrupted, monkeypatch):
    folders, phases = [], []

    def press(progress):
        if progress.phase == "testing":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(make_config(*RUN), on_folder=folders.append, on_progress=press)
    resumed = resume(folders[0], on_progress=lambda progress: phases.append(progress.phase))
    assert_same(resumed, uninterrupted)
    assert "testing" in phases and "training" not in phases


def test_ctrl_c_after_the_record_was_closed_changes_nothing(make_config, monkeypatch):
    from attncompare.record import RecordLogger

    close = RecordLogger.close

    def closed(self, state, message=None):
        close(self, state, message)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(RecordLogger, "close", closed)
    assert train(make_config(*RUN)).state == "finished"


@pytest.mark.parametrize("damage", ["a byte", "half of it", "a pickle"])
def test_with_a_damaged_checkpoint_it_goes_on_from_the_one_before(make_config, uninterrupted, damage):
    stopped = train(make_config(*RUN), stop_after=7)
    file, _ = checkpoint_files(stopped.path)
    content = file.read_bytes()
    damaged = {
        "a byte": content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
        "half of it": content[: len(content) // 2],
        "a pickle": b"\x80\x04cos\nsystem\n(S'touch owned'\ntR.",
    }
    file.write_bytes(damaged[damage])
    resumed = resume(stopped.path)
    assert [entry["step"] for entry in resumed.summary["resumed"]] == [4]
    assert_same(resumed, uninterrupted)


def test_without_any_whole_checkpoint_it_begins_anew_and_forgets_the_damaged_ones(make_config, uninterrupted):
    stopped = resume(train(make_config(*RUN), stop_after=5).path, stop_after=7)
    for file in checkpoint_files(stopped.path):
        file.write_bytes(b"damaged")
    messages = []
    again = resume(stopped.path, stop_after=3, on_message=messages.append)
    assert "begins anew at step 0" in messages[0]
    assert [file.stem for file in checkpoint_files(again.path)] == ["resume-0000003"]
    assert_same(resume(stopped.path), uninterrupted)


def test_a_run_moved_elsewhere_goes_on_there(make_config, uninterrupted, tmp_path):
    stopped = train(make_config(*RUN), stop_after=5)
    moved = stopped.path.rename(tmp_path / "it's moved")
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "runs").write_text("no folder any more")
    assert "'\"'\"'" in Run.open(moved).standing()  # quoted for a shell
    assert_same(resume(moved), uninterrupted)


def test_another_environment_is_noted(make_config):
    stopped = train(make_config(*RUN), stop_after=4)
    file = stopped.path / "environment.json"
    file.write_text(file.read_text().replace(f'"python": "{stopped.environment()["python"]}"', '"python": "3.0.0"'))
    resumed = resume(stopped.path)
    (entry,) = resumed.summary["resumed"]
    assert any(line.startswith("python: 3.0.0 in the record") for line in entry["environment"])
    assert "not the environment that the run began in: python" in (resumed.path / "run.log").read_text()


def test_from_the_checkpoint_before_the_last_validation_the_average_is_the_same(make_config, monkeypatch):
    """The weights of one validation more than is averaged are kept, for a run killed between checkpoint and weights."""
    overrides = (*RUN, "trainer.average_last=3", "trainer.validate_every=2")
    reference = train(make_config(*overrides))
    assert reference.summary["averaged"]["steps"] == [6, 8, 9]
    stopped = train(make_config(*overrides), stop_after=7)
    file, _ = checkpoint_files(stopped.path)
    before = file.read_bytes()
    press_ctrl_c_at(8, monkeypatch, Weights, "on_validation_end")
    with pytest.raises(KeyboardInterrupt):
        resume(stopped.path)
    for newer in checkpoint_files(stopped.path):
        newer.unlink()
    file.write_bytes(before)
    resumed = resume(stopped.path)
    assert [entry["step"] for entry in resumed.summary["resumed"]] == [7, 7]
    assert_same(resumed, reference)


TIMED = (
    *(*RUN, "trainer.max_steps=1000", "trainer.validate_every=30", "trainer.max_time=90", "trainer.log_every=7"),
    "optimizer.warmup_steps=20",
)


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """The run of TIMED by a clock that moves by a second with each step."""
    with pytest.MonkeyPatch.context() as patched:
        FakeClock(patched)
        run = train(composed_config(tmp_path_factory.mktemp("timed"), TIMED))
    assert (run.summary["planned_after"], run.summary["planned_steps"]) == (50, 90)
    assert (run.summary["steps"], run.summary["ended_by"]) == (90, "max_time")
    return run


def test_a_run_with_a_time_budget_goes_on_with_its_plan_and_its_time(make_config, monkeypatch, timed):
    clock = FakeClock(monkeypatch)
    run = train(make_config(*TIMED), stop_after=3)  # then after the plan, before a validation and near the end
    for following in (52, 59, 75, None):
        clock.now += 1000.0  # between an interruption and its resumption nothing is counted
        run = resume(run.path, stop_after=following)
    assert_same(run, timed)


def test_a_plan_that_was_made_after_the_newest_checkpoint_stays(make_config, monkeypatch, timed):
    clock = FakeClock(monkeypatch)
    stopped = train(make_config(*TIMED), stop_after=30)
    (file,) = checkpoint_files(stopped.path)
    before = file.read_bytes()
    again = resume(stopped.path, stop_after=52)
    for newer in checkpoint_files(again.path):
        newer.unlink()
    file.write_bytes(before)
    clock.pace = 0.01  # a faster machine would plan more steps
    assert_same(resume(stopped.path), timed)


@pytest.mark.parametrize("wrong", [{"planned_steps": 10**9}, {"planned_steps": 0}, {"planned_after": "x"}])
def test_a_plan_that_cannot_be_is_refused(make_config, monkeypatch, wrong):
    FakeClock(monkeypatch)
    stopped = train(make_config(*TIMED, "trainer.validate_every=1000"), stop_after=52)
    file = stopped.path / "summary.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **wrong}))
    with pytest.raises(Refused, match=r"summary.json: damaged .*plan"):
        resume(stopped.path)
