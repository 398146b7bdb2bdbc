"""Several processes from the command line: a sweep starts nothing twice, Ctrl-C reaches all, and none is left behind."""

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from commands import ENDLESS, SMOKE, Started, attncompare

from attncompare.record import find_runs

TWO = ("trainer.devices=2", "tracking=disabled", "tracking.probes=1")

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into Linux' process table")


@pytest.fixture(autouse=True)
def temporary(monkeypatch):
    """A folder for temporary files, which is empty again in the end; its name is short, as a socket's must be."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield
        assert not list(Path(folder).glob("attncompare-*"))


def in_session(leader):
    """Return the living processes of the session that ``leader`` began: all that it started, and they in turn."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if int(session) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_until_gone(leader, seconds=20):
    until = time.monotonic() + seconds
    while left := in_session(leader):
        assert time.monotonic() < until, f"left behind: {left}"
        time.sleep(0.1)


@linux
def test_a_sweep_of_two_runs_makes_two_runs(tmp_path):
    started = Started("train", "-m", *SMOKE, *TWO, "seed=1,2", cwd=tmp_path)
    code, out, err = started.end()
    assert code == 0, err
    assert len(out.splitlines()) == 1
    assert [run.path.parent for run in find_runs([tmp_path])] == [tmp_path / out.strip()] * 2
    assert sorted((run.config.seed, run.state) for run in find_runs([tmp_path])) == [(1, "finished"), (2, "finished")]
    assert len(list(tmp_path.glob("runs/*/*"))) == 1  # one sweep, and no run beside it
    wait_until_gone(started.pid)


@linux
def test_ctrl_c_ends_all_processes_and_the_run_can_go_on(tmp_path):
    started = Started("train", *ENDLESS, *TWO, cwd=tmp_path)
    started.wait_for("training step")
    started.interrupt()
    code, out, err = started.end()
    assert (code, out) == (130, "") and err.endswith("interrupted\n")
    assert "Traceback" not in err
    (run,) = find_runs([tmp_path])
    assert run.state == "interrupted" and run.summary["message"].endswith(" by Ctrl-C")
    assert list(run.path.glob("checkpoints/resume-*"))
    wait_until_gone(started.pid)


@linux
@pytest.mark.long
def test_the_others_end_with_the_first_process(tmp_path):
    started = Started("train", *ENDLESS, *TWO, cwd=tmp_path)
    started.wait_for("training step")
    assert len(in_session(started.pid)) >= 3
    os.kill(started.pid, signal.SIGKILL)
    started.end()
    wait_until_gone(started.pid)
    (run,) = find_runs([tmp_path])
    assert not run.alive() and "was killed while it was running" in run.standing()


@pytest.mark.long
def test_a_run_of_two_processes_is_reproduced(tmp_path):
    done = attncompare("train", *SMOKE, *TWO, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = attncompare("reproduce", done.stdout.strip(), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("verdict: identical")
