"""``attncompare train`` that gets Ctrl-C or SIGTERM, and ``--resume``, as a user does it."""

import os
import signal
from pathlib import Path

import pytest
from commands import ENDLESS, Started, composed_config, inspect
from outcomes import assert_same
from training_runs import NO_TRACKING, RUN

from attncompare.data.module import DataModule
from attncompare.record import Run, find_runs
from attncompare.training import run as training_run
from attncompare.training.run import train


def test_the_command_goes_on_and_refuses_what_it_cannot(cli, uninterrupted):
    stopped = train(composed_config(Path("here"), RUN), stop_after=5)
    code, out, err = cli("train", "--resume", stopped.path)
    assert (code, out.strip()) == (0, str(stopped.path))
    assert "goes on at step 5 of 9" in err
    assert_same(Run.open(stopped.path), uninterrupted)
    code, _, err = cli("train", f"resume={stopped.path}")
    assert code == 0 and "already finished" in err
    for arguments, words in (
        ([f"resume={stopped.path}", "seed=2"], "leave out seed=2"),
        (["--resume"], "--resume: give the folder"),
        (["--resume", "-m"], "--resume: give the folder"),
        (["--resume", "it's nowhere"], "it's nowhere: no such folder"),
        (["-m", "resume=a,b"], "resume=a"),
    ):
        code, _, err = cli("train", *arguments)
        assert code == 2 and words in err and err.count("\n") == 1


@pytest.mark.long
def test_sigterm_writes_a_checkpoint_after_the_step_and_the_run_can_go_on(tmp_path):
    started = Started("train", *ENDLESS, *NO_TRACKING, "trainer.validate_every=1000000", cwd=tmp_path)
    started.wait_for("training step")
    os.kill(started.pid, signal.SIGTERM)
    code, out, err = started.end()
    assert (code, out) == (130, "") and err.endswith("interrupted\n") and "Traceback" not in err
    (run,) = find_runs([tmp_path])
    assert f"\ngo on with: attncompare train --resume {run.path.relative_to(tmp_path)}\n" in err
    assert run.state == "interrupted"
    assert run.summary["message"].startswith("interrupted at step ") and run.summary["message"].endswith(" by SIGTERM")
    file = max(run.path.glob("checkpoints/resume-*"))
    step = int(run.summary["message"].split()[3])
    assert file.name == f"resume-{step:07d}.ckpt"
    assert run.metrics()[-1]["step"] == step


def test_ctrl_c_while_training_closes_record_and_wandb_run(tmp_path):
    started = Started("train", *ENDLESS, "trainer.validate_every=20", "trainer.limit_batches=1", cwd=tmp_path)
    started.wait_for("training step")
    started.interrupt()
    code, out, err = started.end()
    assert (code, out) == (130, "")
    assert "Traceback" not in err and err.endswith("interrupted\n")
    (run,) = find_runs([tmp_path])
    assert run.state == "interrupted"
    assert run.metrics()[0]["step"] == 1
    assert [end["exit_code"] for end in inspect(run)["exit"]] == [1]


def test_ctrl_c_before_anything_was_written_leaves_nothing(cli, monkeypatch):
    monkeypatch.setattr(DataModule, "prepare", interrupt)
    code, _, err = cli("train", *RUN)
    assert code == 130 and err.endswith("interrupted\n")
    assert not list(Path("runs").rglob("*.yaml"))


def test_ctrl_c_while_the_record_is_opened_closes_it(cli, monkeypatch):
    monkeypatch.setattr(training_run, "environment", interrupt)
    assert cli("train", *RUN)[0] == 130
    (run,) = find_runs(["runs"])
    assert run.state == "interrupted"


def interrupt(*_):
    raise KeyboardInterrupt
