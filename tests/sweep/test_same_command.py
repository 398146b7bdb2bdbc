"""One command, again and again, in real processes: stopped, refused to a second one meanwhile, gone on with, finished."""

import pytest
from commands import TINY, Started, attncompare

from attncompare.record import find_runs

COMMAND = ("train", "-m", "trainer=cpu", "trainer.threads=1", *TINY, "tracking=disabled", "trainer.log_every=1")


@pytest.mark.long
def test_the_same_command_until_all_is_done(tmp_path):
    command = (*COMMAND, "trainer.max_steps=2000,2001", "trainer.validate_every=500")
    started = Started(*command, cwd=tmp_path)
    started.wait_for("training step", times=2)
    second = attncompare(*command, cwd=tmp_path)
    assert second.returncode == 2
    assert second.stderr.startswith("error: runs/") and "another process is training this sweep" in second.stderr
    started.interrupt()
    code, _, said = started.end()
    assert code == 130
    assert "0 of 2 runs finished; the same command goes on with the others\ninterrupted" in said

    done = attncompare(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 runs that did not finish: going on where they stand" in done.stderr
    runs = find_runs([tmp_path / done.stdout.strip()])
    assert [(run.state, len(run.summary["resumed"])) for run in runs] == [("finished", 1)] * 2

    again = attncompare(*command, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert "all 2 runs finished already" in again.stderr


def test_fresh_without_a_sweep_is_refused(cli):
    code, _, err = cli("train", "--fresh", "trainer=smoke")
    assert code == 2 and err.startswith("error: --fresh: one run alone is always a new one")


def test_cases_are_trained_one_after_another(cli, monkeypatch):
    given = []
    monkeypatch.setattr("attncompare.sweep.start.start", lambda jobs, *_, **__: given.extend(jobs))
    code, _, err = cli("train", "experiment=negative_control", "task=translation", "trainer=smoke")
    assert code == 0, err
    assert [(job.config.attention.name, job.config.seed) for job in given] == [
        *(("first", seed) for seed in range(1, 7)),
        *(("second", seed) for seed in range(7, 13)),
    ]
