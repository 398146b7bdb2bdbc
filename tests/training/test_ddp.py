"""Several processes by Lightning's ddp, from the command line: they train as one does, stop as one, and go on as one."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from commands import TINY, Started, attncompare
from outcomes import assert_same
from safetensors.torch import load_file

from attncompare.record import Run, find_runs
from attncompare.training.checkpoint import SafeCheckpointIO, checkpoint_files
from attncompare.training.run import train

ON_THE_CPU = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.threads=1", "tracking=disabled", "tracking.probes=1")
# Three batches an epoch, the last one of a single row: one of two processes has none there.
PAIRS = (
    *(
        *ON_THE_CPU,
        *TINY,
        "tracking.images=0",
        "data.train_size=33",
        "trainer.max_steps=40",
        "trainer.validate_every=16",
    ),
    *("trainer.log_every=1", "backbone.dropout=0", "optimizer.lr=0.01", "optimizer.warmup_steps=0"),
)
TEXT = (
    *(*ON_THE_CPU, "task=language_model", "data=recall", "data.length=24", "data.batch_size=5", "data.train_size=52"),
    *("data.val_size=10", "data.test_size=10", "backbone.d_model=16", "backbone.layers=1", "backbone.dropout=0"),
    *("attention=additive", "attention.heads=3", "trainer.max_steps=12", "trainer.validate_every=5"),
    *("trainer.log_every=1", "optimizer.warmup_steps=0", "tracking.images=0"),
)
DROPOUT = (*PAIRS, "backbone.dropout=0.3", "attention.dropout=0.2")
CLOCK = ("train/tokens_per_second", "train/seconds")


def command_trained(folder, *overrides):
    """Train by the command line; return the record and what was said."""
    done = attncompare("train", *overrides, cwd=folder)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()  # the other processes print nothing
    assert "Traceback" not in done.stderr
    (run,) = find_runs([folder])
    assert run.path == folder / line  # and make no folder of their own
    return run, done.stderr


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """A run of two processes, and what was said."""
    return command_trained(tmp_path_factory.mktemp("two"), *PAIRS)


def without_scores(figures):
    """The softmax does not see a key's bias, but scores do: its gradient is rounding alone, which Adam makes as large as any."""
    return {name: value for name, value in figures.items() if not name.endswith("_head_score")}


def assert_equal_up_to_rounding(one, two):
    assert len(one.metrics()) == len(two.metrics()) > 12
    for first, second in zip(one.metrics(), two.metrics(), strict=True):
        figures = [without_scores({key: row[key] for key in row if key not in CLOCK}) for row in (first, second)]
        assert figures[1] == pytest.approx(figures[0], rel=1e-4, abs=1e-4)
        assert first["train/tokens"] == second["train/tokens"]
    assert one.metrics()[0]["train/loss"] > one.metrics()[-2]["train/loss"] + 0.01  # so much was learned
    assert without_scores(two.summary["test"]) == pytest.approx(without_scores(one.summary["test"]), rel=1e-4, abs=1e-4)
    weights = [load_file(run.path / "checkpoints" / "last.safetensors") for run in (one, two)]
    apart = {name: (weights[1][name] - tensor).abs().max().item() for name, tensor in weights[0].items()}
    assert {name: far for name, far in apart.items() if far > 1e-3 and not name.endswith("key.bias")} == {}


def test_two_processes_give_the_curves_and_weights_of_one(make_config, of_two):
    run, said = of_two
    assert run.config.trainer.devices == 2 and run.environment()["threads"] == 1
    assert said.count("testing") == said.count("recording in") == 1 and "RANK" not in said
    assert_equal_up_to_rounding(train(make_config(*PAIRS, "trainer.devices=1")), run)


def in_session(leader):
    """Return the living processes of the session that ``leader`` began: all that it started, and they in turn."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if int(session) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_until_gone(leader, seconds=30):
    until = time.monotonic() + seconds
    while left := in_session(leader):
        assert time.monotonic() < until, f"left behind: {left}"
        time.sleep(0.1)


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux' table of processes")


def stopped_by(number, folder, *overrides):
    """Return a run that got a signal while it trained; nothing of it is left running."""
    started = Started("train", *overrides, cwd=folder)
    started.wait_for("training step")
    os.kill(started.pid, number)
    code, out, err = started.end()
    assert (code, out) == (130, "") and err.endswith("interrupted\n"), err
    assert "Traceback" not in err and err.count("go on with: attncompare train --resume") == 1
    wait_until_gone(started.pid)
    (run,) = find_runs([folder])
    assert run.state == "interrupted" and run.summary["message"].endswith(f" by {signal.Signals(number).name}")
    return run


@pytest.mark.long
@needs_proc
def test_sigterm_stops_both_after_a_step_and_they_go_on_as_the_same_run(tmp_path, of_two):
    stopped = stopped_by(signal.SIGTERM, tmp_path, *PAIRS)
    file, *_ = checkpoint_files(stopped.path)
    first, other = SafeCheckpointIO().load_checkpoint(file)["random"]
    assert not (first["cpu"] == other["cpu"]).all()  # each drops out in its own way
    done = attncompare("train", "--resume", stopped.path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{stopped.path}\n"), done.stderr
    assert_same(Run.open(stopped.path), of_two[0])


@pytest.mark.long
@needs_proc
def test_ctrl_c_ends_all_processes(tmp_path):
    started = Started("train", *DROPOUT, "trainer.max_steps=1000000", cwd=tmp_path)
    started.wait_for("training step")
    assert len(in_session(started.pid)) >= 2
    started.interrupt()
    code, out, err = started.end()
    assert (code, out) == (130, "") and err.endswith("interrupted\n") and "Traceback" not in err, err
    wait_until_gone(started.pid)
    (run,) = find_runs([tmp_path])
    assert run.state == "interrupted" and checkpoint_files(run.path)


@pytest.mark.long
def test_with_dropout_too_a_resumed_run_of_two_processes_has_the_same_bits(tmp_path):
    (tmp_path / "whole").mkdir()
    whole, _ = command_trained(tmp_path / "whole", *DROPOUT)
    (tmp_path / "stopped").mkdir()
    stopped = stopped_by(signal.SIGTERM, tmp_path / "stopped", *DROPOUT)
    assert attncompare("train", "--resume", stopped.path, cwd=tmp_path).returncode == 0
    assert_same(Run.open(stopped.path), whole)


@pytest.mark.long
def test_a_language_model_by_three_processes_with_accumulation_has_the_curves_of_one(make_config, tmp_path):
    run, _ = command_trained(tmp_path, *TEXT, "trainer.devices=3", "trainer.accumulate=1")
    assert_equal_up_to_rounding(train(make_config(*TEXT, "trainer.devices=1")), run)


@pytest.mark.long
def test_two_processes_accumulate_as_one(make_config, tmp_path):
    overrides = (*PAIRS, "data.batch_size=15", "trainer.accumulate=2")
    run, _ = command_trained(tmp_path, *overrides)
    assert_equal_up_to_rounding(train(make_config(*overrides, "trainer.devices=1")), run)


@pytest.mark.long
def test_a_loss_that_is_nan_ends_both(tmp_path):
    done = attncompare("train", *PAIRS, "optimizer.lr=1e30", "optimizer.clip_norm=null", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("error: ") and done.stderr.count("error: ") == 1
    (run,) = find_runs([tmp_path])
    assert run.state == "failed" and (run.path / "failure").is_dir()


@pytest.mark.long
@needs_proc
def test_when_one_process_is_killed_none_is_left(tmp_path):
    started = Started("train", *DROPOUT, "trainer.max_steps=1000000", cwd=tmp_path)
    started.wait_for("training step")
    os.kill(max(in_session(started.pid)), signal.SIGKILL)
    code, _, _ = started.end()
    assert code != 0
    wait_until_gone(started.pid)
    (run,) = find_runs([tmp_path])
    assert not run.alive() and "attncompare train --resume" in run.standing()
    shutil.rmtree(run.path)
