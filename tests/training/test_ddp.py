"""Two processes that share each batch train as one does, stop as one, and go on as one."""

import multiprocessing
import os
import signal
import threading
from types import SimpleNamespace

import pytest
import torch
from commands import TINY, composed_config
from outcomes import assert_same
from safetensors.torch import load_file

from attncompare.config import parse
from attncompare.data.module import DataModule
from attncompare.errors import Refused, RunFailed
from attncompare.training import processes_others as others
from attncompare.training.checkpoint import load_checkpoint, save_checkpoint
from attncompare.record import find_runs
from attncompare.training.run import resume, train

QUIET = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.threads=1", "tracking=disabled", "tracking.probes=2")
# Three batches an epoch, the last one of a single row: one of two processes has none there.
SHORT = (*QUIET, *TINY, "data.train_size=33", "trainer.max_steps=20", "trainer.validate_every=8", "trainer.log_every=1")
PAIRS = (*SHORT, "backbone.dropout=0", "optimizer.lr=0.01", "optimizer.warmup_steps=0")
BY_TOKENS = (*PAIRS, "data.batch_size=null", "data.batch_tokens=150")
TEXT = (
    *(*QUIET, "task=language_model", "data=recall", "data.length=24", "data.batch_size=5", "data.train_size=52"),
    *("data.val_size=10", "data.test_size=10", "backbone.d_model=16", "backbone.layers=1", "backbone.dropout=0"),
    *("attention=additive", "attention.heads=3", "trainer.max_steps=12", "trainer.validate_every=5"),
    *("trainer.log_every=1", "optimizer.warmup_steps=0"),
)
DROPOUT = (*SHORT, "backbone.dropout=0.3", "attention.dropout=0.2", "trainer.max_steps=9", "trainer.validate_every=4")
CLOCK = ("train/tokens_per_second", "train/seconds")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def uninterrupted(home):
    return train(composed_config(home, DROPOUT))


@pytest.mark.parametrize(
    "overrides",
    [PAIRS, BY_TOKENS, pytest.param(TEXT, marks=pytest.mark.long)],
    ids=["pairs", "by tokens", "text"],
)
def test_two_processes_give_the_curves_and_weights_of_one(make_config, overrides):
    one, two = (train(make_config(*overrides, f"trainer.devices={devices}")) for devices in (1, 2))
    assert len(one.metrics()) == len(two.metrics()) > 12
    for first, second in zip(one.metrics(), two.metrics(), strict=True):
        figures = [{key: value for key, value in row.items() if key not in CLOCK} for row in (first, second)]
        assert figures[1] == pytest.approx(figures[0], rel=1e-5, abs=1e-5)
        assert first["train/tokens"] == second["train/tokens"]
    assert one.metrics()[0]["train/loss"] > one.metrics()[-2]["train/loss"] + 0.01  # so much was learned
    assert two.summary["test"] == pytest.approx(one.summary["test"], rel=1e-5, abs=1e-5)
    weights = [load_file(run.path / "checkpoints" / "last.safetensors") for run in (one, two)]
    apart = {name: (weights[1][name] - tensor).abs().max().item() for name, tensor in weights[0].items()}
    # The softmax does not see a key's bias: its gradient is rounding alone, which Adam makes as large as any other.
    assert {name: far for name, far in apart.items() if far > 1e-4 and not name.endswith("key.bias")} == {}


def test_nothing_of_it_is_left(uninterrupted, home):
    assert multiprocessing.active_children() == []
    assert not torch.distributed.is_initialized()
    assert [run.path for run in find_runs([home])] == [uninterrupted.path]
    assert uninterrupted.config.trainer.devices == 2
    assert uninterrupted.environment()["threads"] == torch.get_num_threads() == 1
    assert "GLOO_SOCKET_IFNAME" not in os.environ and "MASTER_PORT" not in os.environ


def test_each_process_drops_out_in_its_own_way(make_config):
    stopped = train(make_config(*DROPOUT), stop_after=3)
    _, checkpoint = load_checkpoint(stopped.path)
    (other,) = checkpoint["state"]["random_of_others"]
    assert not torch.equal(other["random"]["cpu"], checkpoint["state"]["random"]["cpu"])


@pytest.mark.parametrize("step", [3, pytest.param(4, marks=pytest.mark.long)])  # between two validations; before one
def test_stopped_and_resumed_it_is_the_same_run(make_config, uninterrupted, step):
    stopped = train(make_config(*DROPOUT), stop_after=step)
    assert (stopped.state, stopped.summary["message"]) == ("interrupted", f"stopped after step {step}, as asked")
    assert_same(resume(stopped.path), uninterrupted)


@pytest.mark.long
def test_three_processes_too(make_config):
    three = (*DROPOUT, "trainer.devices=3")
    assert_same(resume(train(make_config(*three), stop_after=3).path), train(make_config(*three)))


def test_a_checkpoint_of_another_number_of_processes_is_refused(make_config):
    stopped = train(make_config(*DROPOUT), stop_after=3)
    step, checkpoint = load_checkpoint(stopped.path)
    checkpoint["state"]["random_of_others"] *= 2
    save_checkpoint(stopped.path, step, checkpoint)
    with pytest.raises(Refused, match=r"3 processes wrote it, not trainer\.devices=2"):
        resume(stopped.path)


def at_step(step, act, phase="training"):
    """Return what calls ``act`` once, when a run's progress is told at ``step``."""
    done = []

    def on_progress(progress):
        if progress.phase == phase and progress.step == step and not done:
            done.append(True)
            act()

    return on_progress


def kill_the_other():
    *_, last = sorted(multiprocessing.active_children(), key=lambda process: process.name)
    os.kill(last.pid, signal.SIGKILL)


@pytest.mark.parametrize(("phase", "step"), [("training", 3), ("validating", 4)])
def test_a_process_that_is_killed_ends_the_run_as_failed(make_config, phase, step):
    said = r"process 2 of 2 ended without a word \(SIGKILL: the system may have run out of memory\)"
    with pytest.raises(RunFailed, match=said):
        train(make_config(*DROPOUT, "trainer.max_steps=100000"), on_progress=at_step(step, kill_the_other, phase))
    assert multiprocessing.active_children() == []
    assert not torch.distributed.is_initialized()


def test_a_process_that_is_killed_before_it_is_ready_ends_the_run(make_config, monkeypatch):
    prepare = DataModule.prepare

    def killed_meanwhile(self):
        monkeypatch.undo()
        kill_the_other()
        prepare(self)

    monkeypatch.setattr(DataModule, "prepare", killed_meanwhile)
    with pytest.raises(RunFailed, match="process 2 of 2 ended without a word"):
        train(make_config(*DROPOUT))


def test_what_goes_wrong_in_another_process_is_said(make_config, monkeypatch):
    monkeypatch.setattr("attncompare.training.processes_others.follow", without_memory)
    with pytest.raises(RunFailed, match=r"process 2 of 2 failed: out of memory; with data\.batch_size=16") as failed:
        train(make_config(*DROPOUT))
    (run,) = find_runs([make_config().runs])
    assert run.state == "failed" and run.summary["message"] in str(failed.value)
    assert "without_memory" not in run.summary["message"] and "MemoryError" in (run.path / "run.log").read_text()


def without_memory(orders, connection):
    """Be a process that runs out of memory at its third step."""
    from attncompare.training.processes_following import Following, follow

    def on_train_batch_end(self, *_):
        if self._task.step == 3:
            raise MemoryError

    Following.on_train_batch_end = on_train_batch_end
    follow(orders, connection)


def test_a_run_that_lost_a_process_says_so_and_goes_on_from_its_checkpoint(make_config, uninterrupted):
    with pytest.raises(RunFailed):
        train(make_config(*DROPOUT), on_progress=at_step(6, kill_the_other))
    (run,) = find_runs([make_config().runs])
    assert run.state == "failed" and "process 2 of 2 ended without a word (SIGKILL" in run.summary["message"]
    assert "attncompare train --resume" in run.standing()
    assert_same(resume(run.path), uninterrupted)


@pytest.mark.long
def test_of_three_the_one_that_was_killed_is_named(make_config):
    with pytest.raises(RunFailed, match="process 3 of 3 ended without a word"):
        train(make_config(*DROPOUT, "trainer.devices=3"), on_progress=at_step(4, kill_the_other, "validating"))
    with pytest.raises(RunFailed, match="process 3 of 3 ended without a word"):
        train(make_config(*DROPOUT, "trainer.devices=3"), on_progress=at_step(3, kill_the_other))


def test_nobody_waits_on_a_gpu_for_a_process_that_is_gone(make_config, monkeypatch):
    """There need be no GPU: what ends the wait is asked for when a process is gone, and not where all is well."""
    aborted = threading.Event()
    monkeypatch.setattr(others.distributed, "group", SimpleNamespace(WORLD=SimpleNamespace(abort=aborted.set)))
    monkeypatch.setattr(others, "_GRACE", 0.1)
    with others.other_processes(make_config(*DROPOUT), 1) as company, company._freed(torch.device("cuda")):
        assert not aborted.wait(0.5)
        kill_the_other()
        assert aborted.wait(5)


def test_sigterm_stops_all_after_a_step_and_the_run_can_go_on(make_config, uninterrupted):
    def stop():
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train(make_config(*DROPOUT), on_progress=at_step(5, stop))
    (run,) = find_runs([make_config().runs])
    assert run.state == "interrupted"
    assert run.summary["message"].startswith("interrupted at step 6 by SIGTERM")  # the others hear of it within a step
    assert multiprocessing.active_children() == []
    assert_same(resume(run.path), uninterrupted)


def test_a_loss_that_is_no_number_ends_all(make_config):
    with pytest.raises(RunFailed, match="training loss is nan"):
        train(make_config(*DROPOUT, "optimizer.lr=1e30", "optimizer.clip_norm=null"))
    assert multiprocessing.active_children() == []


def test_more_processes_than_there_is_room_for_are_refused(make_config, monkeypatch):
    with pytest.raises(Refused, match=r"trainer.devices=9 is more than data.batch_size=8, the rows to share"):
        make_config(*QUIET, "data.batch_size=8", "trainer.devices=9")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        Refused, match=r"trainer.devices=2: valid here: 1 to 1, one for each GPU; or trainer.accelerator=cpu"
    ):
        train(make_config(*QUIET, "trainer.accelerator=auto"))


def test_a_record_from_before_has_one_process(finished_run):
    values = finished_run.config.to_dict()
    del values["trainer"]["devices"]
    assert parse(values) == finished_run.config
    del values["trainer"]["threads"]
    with pytest.raises(Refused, match=r"trainer\.threads: missing"):
        parse(values)
