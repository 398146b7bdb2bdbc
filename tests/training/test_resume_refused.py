"""What cannot go on as it began is refused, and nothing of it is lost."""

import json
import shutil

import pytest
from outcomes import assert_same
from training_runs import RUN

from attncompare.data.module import DataModule
from attncompare.errors import Refused
from attncompare.record import Run, RunLock
from attncompare.training import checkpoint as checkpoints
from attncompare.training.checkpoint import SafeCheckpointIO, checkpoint_files
from attncompare.training.run import resume, train


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run that was stopped after step 7; tests take copies."""
    from commands import composed_config

    return train(composed_config(tmp_path_factory.mktemp("interrupted"), RUN), stop_after=7)


@pytest.fixture
def stopped(interrupted, tmp_path):
    return Run.open(shutil.copytree(interrupted.path, tmp_path / "run"))


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("metrics.csv", "\n", "\n\n", r"metrics\.csv: its rows"),
        ("metrics.csv", "5", "6", r"metrics\.csv: its rows"),
        ("config.yaml", "lr: 0.004", "lr: 0.005", r"config\.yaml: not what the run began with"),
    ],
)
def test_what_was_changed_in_between_is_refused(stopped, name, old, new, words):
    file = stopped.path / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(Refused, match=words):
        resume(stopped.path)


def test_rows_lost_before_the_checkpoint_are_not_made_up(stopped):
    (stopped.path / "metrics.csv").write_text("step,epoch\n")
    with pytest.raises(Refused, match=r"metrics\.csv: its rows"):
        resume(stopped.path)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        *(("environment.json", {"threads": threads}) for threads in ("x", -3, 2.5, True)),
        *(("summary.json", facts) for facts in ({"resumed": 5}, {"data": []}, {"group": 1})),
    ],
)
def test_facts_of_an_unfinished_run_that_cannot_be_are_refused(stopped, name, facts):
    file = stopped.path / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))
    with pytest.raises(Refused, match=next(iter(facts))):
        resume(stopped.path)


def test_a_checkpoint_of_another_run_is_refused(stopped, make_config):
    other = train(make_config(*RUN, "backbone.d_model=8"), stop_after=7)
    mine, theirs = checkpoint_files(stopped.path)[0], checkpoint_files(other.path)[0]
    shutil.copy(theirs, mine)
    with pytest.raises(Refused, match=r"metrics\.csv: its rows"):
        resume(stopped.path)


def test_a_checkpoint_of_another_number_of_processes_is_refused(stopped):
    file, _ = checkpoint_files(stopped.path)
    content = SafeCheckpointIO().load_checkpoint(file)
    content["random"] *= 2
    SafeCheckpointIO().save_checkpoint(content, file)
    with pytest.raises(Refused, match=r"2 processes .* not 1"):
        resume(stopped.path)


def test_a_checkpoint_that_cannot_be_read_now_is_not_taken_for_damaged(stopped, uninterrupted, monkeypatch):
    before = (stopped.path / "metrics.csv").read_bytes()

    def fail(folder, name, limit):
        raise OSError(5, "Input/output error", name)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "read_inside", fail)
        with pytest.raises(Exception, match="Input/output error"):
            resume(stopped.path)
    assert (stopped.path / "metrics.csv").read_bytes() == before
    assert_same(resume(stopped.path), uninterrupted)


def test_without_the_weights_that_it_will_average_a_run_is_not_finished(make_config):
    stopped = train(make_config(*RUN, "trainer.average_last=3", "trainer.validate_every=2"), stop_after=7)
    file = stopped.path / "checkpoints" / "snapshot-0000006.safetensors"
    content = file.read_bytes()
    for damage in (content[:-1] + bytes([content[-1] ^ 1]), None):
        file.write_bytes(damage) if damage else file.unlink()
        with pytest.raises(Refused, match=r"snapshot-0000006.safetensors"):
            resume(stopped.path)
    assert Run.open(stopped.path).state == "failed"


def test_a_run_that_is_being_trained_is_locked(stopped, uninterrupted):
    lock = RunLock(stopped.path)
    assert stopped.alive()
    with pytest.raises(Refused, match="another process is training this run"):
        resume(stopped.path)
    assert "is being trained right now" in stopped.standing()
    lock.release()
    assert not stopped.alive()
    assert_same(resume(stopped.path), uninterrupted)


def test_a_finished_run_is_left_as_it_is(uninterrupted):
    before = {file: file.read_bytes() for file in uninterrupted.path.rglob("*") if file.is_file()}
    messages = []
    assert resume(uninterrupted.path, on_message=messages.append).state == "finished"
    assert "already finished" in messages[0]
    assert {file: file.read_bytes() for file in uninterrupted.path.rglob("*") if file.is_file()} == before


def test_other_data_are_refused(stopped, monkeypatch):
    prepare = DataModule.prepare

    def prepare_other_data(self):
        prepare(self)
        self.fingerprint = "0" * 64

    monkeypatch.setattr(DataModule, "prepare", prepare_other_data)
    with pytest.raises(Refused, match="data are not those that the run began with"):
        resume(stopped.path)


def test_a_folder_of_runs_names_those_that_can_go_on(stopped):
    with pytest.raises(Refused, match=r"folder of runs.*unfinished: .*interrupted"):
        resume(stopped.path.parent)
