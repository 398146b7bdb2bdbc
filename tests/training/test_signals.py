"""``attncompare train`` that gets Ctrl-C or SIGTERM, and ``--resume``, as a user does it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ENDLESS, Started, composed_config, environment, inspect
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


# Runs the command; the first import of a module sends a signal, and swallows what comes of it.
AT_AN_IMPORT = """
import os, sys, time
class Finder:
    def find_spec(name, path, target=None):
        if name == MODULE and Finder in sys.meta_path:
            sys.meta_path.remove(Finder)
            try:
                os.kill(os.getpid(), NUMBER)
                time.sleep(0.2)
            except BaseException:
                pass
sys.meta_path.insert(0, Finder)
from attncompare.cli import main
sys.exit(main())
"""
SWEEP = ("train", "-m", *RUN, "seed=1,2")
LATER = [
    (("train", *RUN), "pytorch_lightning", signal.SIGINT),
    (SWEEP, "attncompare.sweep.pool", signal.SIGINT),
    (SWEEP, "torch", signal.SIGTERM),
    (("compare", "RUN"), "scipy", signal.SIGTERM),
    (("reproduce", "RUN"), "torch", signal.SIGINT),
    (("dashboard", "RUN"), "http.server", signal.SIGTERM),
]


@pytest.mark.parametrize(
    ("words", "module", "number"),
    [
        (SWEEP, "attncompare.cli.commands", signal.SIGINT),
        (SWEEP, "hydra", signal.SIGTERM),
        *(pytest.param(*case, marks=pytest.mark.long) for case in LATER),
    ],
)
def test_a_signal_during_the_imports_of_a_command_is_one_line(finished_run, tmp_path, words, module, number):
    script = AT_AN_IMPORT.replace("MODULE", repr(module)).replace("NUMBER", str(int(number)))
    words = [str(finished_run.path) if word == "RUN" else word for word in words]
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1:]) == (130, "", ["interrupted"]), done.stderr
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr
    assert done.stderr.count("interrupted") == 1


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
