"""``attncompare train --resume``: from the command line, and after a signal."""

import os
import signal
from pathlib import Path

from commands import ENDLESS, Started, attncompare, composed_config
from outcomes import assert_same
from resumable import QUIET, RUN

from attncompare.record import Run, find_runs
from attncompare.training.run import train


def test_a_sweep_does_not_resume(cli):
    code, _, err = cli("train", "-m", "resume=a,b")
    assert (code, err) == (2, "error: resume=a: a run is gone on with alone; leave out -m\n")


def test_the_command_goes_on_and_says_what_it_cannot(cli, uninterrupted):
    code, _, _ = cli("train", *RUN, "trainer.max_steps=9", "runs=here")
    assert code == 0
    stopped = train(composed_config(Path("here"), RUN), stop_after=5)
    code, out, _ = cli("train", "--resume", stopped.path)
    assert (code, out.strip()) == (0, str(stopped.path))
    assert_same(Run.open(stopped.path), uninterrupted)
    assert cli("train", f"resume={stopped.path}")[0] == 0  # finished: nothing to do
    code, _, err = cli("train", f"resume={stopped.path}", "seed=2")
    assert (code, err) == (2, f"error: resume={stopped.path}: the run goes on as it began, so leave out seed=2\n")
    for wrong in (["--resume"], ["--resume", "-m"], ["--resume="]):
        code, _, err = cli("train", *wrong)
        assert (code, err) == (2, "error: --resume: give the folder of an unfinished run\n")
    code, _, err = cli("train", "--resume", "it's nowhere")
    assert (code, err) == (2, "error: it's nowhere: no such folder\n")


def test_sigterm_writes_a_checkpoint_and_the_run_can_go_on(tmp_path):
    started = Started("train", *ENDLESS, *QUIET, "trainer.validate_every=1000000", cwd=tmp_path)
    started.wait_for("training step")
    os.kill(started.pid, signal.SIGTERM)
    code, out, err = started.end()
    assert (code, out) == (130, "") and err.endswith("interrupted\n")
    (run,) = find_runs([tmp_path])
    assert f"\ngo on with: attncompare train --resume {run.path.relative_to(tmp_path)}\n" in err
    assert run.state == "interrupted"
    assert run.summary["message"].startswith("interrupted at step ") and run.summary["message"].endswith(" by SIGTERM")
    (file,) = run.path.glob("checkpoints/resume-*")
    step = int(run.summary["message"].split()[3])
    assert file.name == f"resume-{step:07d}.safetensors"
    assert run.metrics()[-1]["step"] == step


def test_help_says_how_to_go_on(tmp_path):
    done = attncompare("train", "--help", cwd=tmp_path)
    assert "--resume RUN" in done.stdout
