"""What cannot go on as it began is refused, and nothing of it is lost."""

import json
import shutil

import pytest
from outcomes import assert_same
from resumable import RUN

from attncompare.errors import Refused
from attncompare.training import checkpoint as checkpoints
from attncompare.training.checkpoint import save_checkpoint
from attncompare.record import RunLock
from attncompare.record import Run
from attncompare.training.run import resume, train


def test_a_checkpoint_that_the_disk_does_not_give_back_ends_the_run_and_keeps_the_one_before(make_config, monkeypatch):
    def forgetful(path, content):
        path.write_bytes(content[:-1] + b"?")

    stopped = train(make_config(*RUN), stop_after=4)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "write_bytes", forgetful)
        with pytest.raises(Exception, match="the disk does not give back what was written"):
            resume(stopped.path)
    assert (stopped.path / "checkpoints" / "resume-0000004.safetensors").exists()
    assert Run.open(stopped.path).state == "failed"
    assert resume(stopped.path).state == "finished"


def test_rows_lost_before_the_checkpoint_are_not_made_up(make_config):
    stopped = train(make_config(*RUN), stop_after=7)
    (stopped.path / "metrics.csv").write_text("step,epoch\n")
    with pytest.raises(Refused, match=r"metrics\.csv: its rows are not those from before the checkpoint"):
        resume(stopped.path)


def test_a_config_changed_in_between_is_refused(make_config):
    stopped = train(make_config(*RUN), stop_after=7)
    file = stopped.path / "config.yaml"
    file.write_text(file.read_text().replace("lr: 0.004", "lr: 0.005"))
    with pytest.raises(Refused, match=r"config\.yaml: not what the run began with"):
        resume(stopped.path)


def test_one_digit_changed_in_the_rows_so_far_is_refused(make_config):
    stopped = train(make_config(*RUN), stop_after=7)
    file = stopped.path / "metrics.csv"
    file.write_text(file.read_text().replace("5", "6", 1))
    with pytest.raises(Refused, match=r"metrics\.csv: its rows are not those from before the checkpoint"):
        resume(stopped.path)


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        *(("environment.json", {"threads": threads}) for threads in ("x", -3, 2.5, 10**9, True)),
        *(
            ("summary.json", facts)
            for facts in ({"resumed": 5}, {"data": []}, {"wandb": None}, {"wandb": {}}, {"group": 1})
        ),
    ],
)
def test_facts_of_an_unfinished_run_that_cannot_be_are_refused(make_config, name, facts):
    stopped = train(make_config(*RUN), stop_after=3)
    file = stopped.path / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))
    with pytest.raises(Refused, match=next(iter(facts))):
        resume(stopped.path)
    assert Run.open(stopped.path).state == "interrupted"


@pytest.mark.parametrize("state", [[], {"state": {}}, {"process": {}}, {"state": 1, "process": 2}])
def test_a_checkpoint_of_something_else_is_refused(make_config, state):
    stopped = train(make_config(*RUN), stop_after=3)
    save_checkpoint(stopped.path, 3, state)
    with pytest.raises(Refused, match="its checkpoint is not one of this run"):
        resume(stopped.path)


def test_a_checkpoint_of_another_model_is_refused(make_config):
    stopped = train(make_config(*RUN), stop_after=3)
    other = train(make_config(*RUN, "backbone.d_model=8"), stop_after=3)
    name = "checkpoints/resume-0000003.safetensors"
    shutil.copy(other.path / name, stopped.path / name)
    shutil.copy(other.path / "metrics.csv", stopped.path / "metrics.csv")
    with pytest.raises(Refused, match="its checkpoint is not one of this run"):
        resume(stopped.path)


def test_a_checkpoint_that_cannot_be_read_now_is_not_taken_for_damaged(make_config, uninterrupted, monkeypatch):
    stopped = train(make_config(*RUN), stop_after=7)
    before = (stopped.path / "metrics.csv").read_bytes()

    def ill(*_):
        raise Refused("cannot be read (Input/output error)")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "read_inside", ill)
        with pytest.raises(Refused, match="Input/output error"):
            resume(stopped.path)
    assert (stopped.path / "metrics.csv").read_bytes() == before
    assert_same(resume(stopped.path), uninterrupted)


def test_a_run_that_is_being_trained_is_locked(make_config, uninterrupted):
    stopped = train(make_config(*RUN), stop_after=4)
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
    assert resume(uninterrupted.path).state == "finished"
    assert {file: file.read_bytes() for file in uninterrupted.path.rglob("*") if file.is_file()} == before


def test_other_data_are_refused(make_config, monkeypatch):
    from attncompare.data.module import DataModule

    stopped = train(make_config(*RUN), stop_after=4)
    prepare = DataModule.prepare

    def others(self):
        prepare(self)
        self.fingerprint = "0" * 64

    monkeypatch.setattr(DataModule, "prepare", others)
    with pytest.raises(Refused, match="the data are not those that the run began with"):
        resume(stopped.path)
