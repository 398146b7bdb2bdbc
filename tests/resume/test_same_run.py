"""Stopped anywhere, moved or with a damaged checkpoint, and resumed: the same run as one that was never interrupted."""

import os
import shutil
import signal

import pytest
from commands import composed_config, inspect
from outcomes import assert_same
from resumable import DROPOUT, LANGUAGE_MODEL, RUN, WHOLE

from attncompare.errors import Refused
from attncompare.record import Run
from attncompare.training.run import resume, train


@pytest.mark.parametrize("step", range(1, 9))
def test_stopped_after_any_step_and_resumed_it_is_the_same_run(make_config, uninterrupted, step):
    stopped = train(make_config(*RUN), stop_after=step)
    assert (stopped.state, stopped.summary["message"]) == ("interrupted", f"stopped after step {step}, as asked")
    assert not stopped.alive()
    resumed = resume(stopped.path)
    assert resumed.path == stopped.path
    assert [entry["step"] for entry in resumed.summary["resumed"]] == [step]
    assert_same(resumed, uninterrupted)


def test_a_language_model_too(make_config):
    reference = train(make_config(*LANGUAGE_MODEL))
    assert_same(resume(train(make_config(*LANGUAGE_MODEL), stop_after=3).path), reference)


@pytest.mark.parametrize("step", [2, 5])
def test_batches_by_tokens_go_on_where_they_stood(make_config, step):
    by_tokens = (*RUN, "data.batch_size=null", "data.batch_tokens=200", "trainer.limit_batches=null")
    reference = train(make_config(*by_tokens))
    assert_same(resume(train(make_config(*by_tokens), stop_after=step).path), reference)


def stop_at(step, monkeypatch, place):
    """Press Ctrl-C in a place of the run where nothing may be lost."""
    from attncompare.training.callback import Tracking

    original = getattr(Tracking, place)

    def interrupted(self, *arguments):
        if self.task.step == step:
            monkeypatch.undo()
            os.kill(os.getpid(), signal.SIGINT)
            self.stop.check()
        return original(self, *arguments)

    monkeypatch.setattr(Tracking, place, interrupted)


@pytest.mark.parametrize("place", ["_checkpoint", "_save_weights", "_save_maps"])
def test_stopped_again_and_again_between_two_writes(make_config, uninterrupted, monkeypatch, place):
    folders = []
    stop_at(4, monkeypatch, place)
    with pytest.raises(KeyboardInterrupt):
        train(make_config(*RUN), on_folder=folders.append)
    stop_at(8, monkeypatch, place)
    with pytest.raises(KeyboardInterrupt):
        resume(folders[0])
    assert Run.open(folders[0]).state == "interrupted"
    assert_same(resume(folders[0]), uninterrupted)


def test_stopped_before_its_first_checkpoint_it_begins_anew_in_the_same_folder(make_config, uninterrupted, monkeypatch):
    from attncompare.training import session

    def interrupted(*_):
        raise KeyboardInterrupt

    folders = []
    with monkeypatch.context() as patched:
        patched.setattr(session, "environment", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(make_config(*RUN), on_folder=folders.append)
    assert_same(resume(folders[0]), uninterrupted)


def test_stopped_while_it_is_tested_it_is_not_trained_again(make_config, uninterrupted, monkeypatch):
    from attncompare.tasks.translation import Translation

    folders, steps = [], []
    with monkeypatch.context() as patched:
        patched.setattr(Translation, "predictions", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            train(make_config(*RUN), on_folder=folders.append)
    resumed = resume(folders[0], on_progress=lambda progress: steps.append((progress.phase, progress.step)))
    assert_same(resumed, uninterrupted)
    assert "training" not in [phase for phase, _ in steps]


@pytest.mark.parametrize("damage", ["a byte", "half of it", "all of it", "a pickle"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(make_config, uninterrupted, damage):
    stopped = train(make_config(*RUN), stop_after=7)
    newest = stopped.path / "checkpoints" / "resume-0000007.safetensors"
    content = newest.read_bytes()
    spoilt = {
        "a byte": content[:-100] + bytes([content[-100] ^ 1]) + content[-99:],
        "half of it": content[: len(content) // 2],
        "all of it": b"",
        "a pickle": b"\x80\x04cos\nsystem\n(S'touch owned'\ntR.",
    }
    newest.write_bytes(spoilt[damage])
    resumed = resume(stopped.path)
    assert_same(resumed, uninterrupted)
    assert [entry["step"] for entry in resumed.summary["resumed"]] == [4]
    log = (resumed.path / "run.log").read_text()
    assert "resume-0000007.safetensors is damaged" in log and "the checkpoint before it is tried" in log


def test_without_any_whole_checkpoint_it_begins_anew(make_config, uninterrupted):
    stopped = train(make_config(*RUN), stop_after=7)
    for file in stopped.path.glob("checkpoints/resume-*"):
        file.write_bytes(b"spoilt")
    assert_same(resume(stopped.path), uninterrupted)


def test_a_run_moved_elsewhere_goes_on_there(make_config, uninterrupted, tmp_path, monkeypatch):
    stopped = train(make_config(*RUN), stop_after=5)
    moved = stopped.path.rename(tmp_path / "it's moved")
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "runs").write_text("no folder any more")
    assert "'\"'\"'" in Run.open(moved).standing()  # quoted for a shell
    assert_same(resume(moved), uninterrupted)


def test_stopped_twice_as_asked(make_config, uninterrupted):
    stopped = train(make_config(*RUN), stop_after=3)
    again = resume(stopped.path, stop_after=6)
    assert (again.state, again.summary["message"]) == ("interrupted", "stopped after step 6, as asked")
    assert_same(resume(stopped.path), uninterrupted)
    with pytest.raises(Refused, match="stop_after=0: must be a positive integer"):
        train(make_config(*RUN), stop_after=0)


def test_ctrl_c_while_a_resumed_run_begins_leaves_it_interrupted(make_config, uninterrupted, monkeypatch):
    stopped = train(make_config(*RUN), stop_after=3)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("attncompare.training.run.environment", interrupted)
        with pytest.raises(KeyboardInterrupt):
            resume(stopped.path)
    assert Run.open(stopped.path).state == "interrupted"
    assert_same(resume(stopped.path), uninterrupted)


def test_a_stop_after_the_record_was_closed_changes_nothing(make_config, monkeypatch):
    from attncompare.record import RecordLogger

    close = RecordWriter.close

    def closed(self, state, message=None):
        close(self, state, message)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(RecordWriter, "close", closed)
    assert train(make_config(*RUN)).state == "finished"


def test_another_environment_is_noted(make_config, uninterrupted):
    stopped = train(make_config(*RUN), stop_after=4)
    file = stopped.path / "environment.json"
    file.write_text(file.read_text().replace(f'"python": "{stopped.environment()["python"]}"', '"python": "3.0.0"'))
    resumed = resume(stopped.path)
    (entry,) = resumed.summary["resumed"]
    assert any(line.startswith("python: 3.0.0 in the record") for line in entry["environment"])
    assert "not the environment that the run began in: python" in (resumed.path / "run.log").read_text()


def test_wandb_shows_a_resumed_run_without_gap_or_double_row(tmp_path):
    overrides = (*WHOLE, *DROPOUT, "tracking.probes=1")
    reference = train(composed_config(tmp_path / "a", overrides))
    stopped = train(composed_config(tmp_path / "b", overrides), stop_after=6)
    identity = stopped.summary["wandb"]["id"]
    resumed = resume(stopped.path)
    assert resumed.summary["wandb"] == {"id": identity, "missing": None}
    assert [record["run_id"] for record in inspect(resumed)["run"]] == [identity]
    shown = [history(run) for run in (resumed, reference)]
    assert shown[0] == shown[1]
    assert_same(resumed, reference)


def history(run):
    """The rows of curves that W&B holds."""
    rows = []
    for record in inspect(run)["history"]:
        items = record["item"]
        rows.append(
            {key: items[key] for key in items if key.startswith(("train/", "val/", "step")) and "second" not in key}
        )
    return rows
