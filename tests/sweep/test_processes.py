"""Sweeps in real processes: one process, one folder and one W&B run for each run, whatever happens to the rest."""

import os
import signal
import time
from pathlib import Path

import pytest
import yaml
from commands import ENDLESS, SMOKE, Started, attncompare, inspect

from attncompare.record import Run, find_runs

BEGUN = [override for override in ENDLESS if "max_steps" not in override] + ["tracking=disabled"]
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into Linux' process table")


def processes():
    """Yield each process with its parent and its session, from Linux' process table."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended in between
        if state != "Z":
            yield int(stat.parent.name), int(parent), int(session)


def trainer_of(run):
    """Return the process that holds the log of ``run`` open."""
    for pid, _, _ in processes():
        try:
            if (run.path / "run.log").resolve() in {link.resolve() for link in Path(f"/proc/{pid}/fd").iterdir()}:
                return pid
        except (FileNotFoundError, PermissionError):
            continue
    raise AssertionError(f"no process trains {run.path}")


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two learning rates, of which one is beyond all reason: its loss becomes NaN."""
    folder = tmp_path_factory.mktemp("sweep")
    diverging = ("optimizer.clip_norm=null", "optimizer.warmup_steps=0", "optimizer.lr=0.001,1e30")
    return folder, attncompare("train", "-m", *SMOKE, *diverging, cwd=folder)


@pytest.mark.long
def test_each_run_has_a_folder_and_a_wandb_run_of_its_own(sweep):
    folder, done = sweep
    (sweep_folder,) = folder.glob("runs/*/*-sweep")
    runs = find_runs([folder])
    assert len(runs) == 2 and all(run.path.parent == sweep_folder for run in runs)
    asked = yaml.safe_load((sweep_folder / "sweep.yaml").read_text())["runs"]
    assert len(asked) == 2 and all("trainer=smoke" in overrides for overrides in asked)
    assert f"2 runs, {min(2, len(os.sched_getaffinity(0)))} at a time, in runs/" in done.stderr
    starts = [inspect(run)["run"][0] for run in runs]
    assert {start["run_group"] for start in starts} == {f"{sweep_folder.parent.name}-{sweep_folder.name}"}
    assert len({start["run_id"] for start in starts}) == 2


@pytest.mark.long
def test_a_failing_run_stops_no_other_and_is_told_at_the_end(sweep):
    folder, done = sweep
    states = sorted((run.config.optimizer.lr, run.state) for run in find_runs([folder]))
    assert states == [(0.001, "finished"), (1e30, "failed")]
    assert (done.returncode, done.stdout) == (1, "") and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: 1 of 2 runs did not finish: ")
    assert done.stderr.count("failed; its last lines:") == 1 and "loss is nan" in done.stderr


@pytest.mark.long
def test_ctrl_c_closes_every_run_and_the_same_command_goes_on(tmp_path):
    command = ("train", "-m", *BEGUN, "trainer.max_steps=800,801,802", "hydra.launcher.workers=2")
    started = Started(*command, cwd=tmp_path)
    started.wait_for("training step", times=2)
    started.interrupt()
    code, out, err = started.end()
    assert (code, out) == (130, "") and "Traceback" not in err and err.endswith("interrupted\n")
    assert "0 of 3 runs finished; the same command" in err
    assert [run.state for run in find_runs([tmp_path])] == ["interrupted"] * 2

    done = attncompare(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 runs that did not finish: resumed" in done.stderr
    runs = find_runs([tmp_path / done.stdout.strip()])
    assert [run.state for run in runs] == ["finished"] * 3
    assert sorted(len(run.summary.get("resumed", [])) for run in runs) == [0, 1, 1]

    again = attncompare(*command, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert "all 3 runs finished already" in again.stderr and len(find_runs([tmp_path])) == 3


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_first_step_leaves_no_run_that_seems_to_go_on(tmp_path, number):
    started = Started(
        "train", "-m", *ENDLESS, "tracking=disabled", "seed=1,2,3", "hydra.launcher.workers=2", cwd=tmp_path
    )
    started.wait_for("3 runs, 2 at a time")
    os.kill(started.pid, number)
    code, out, err = started.end()
    assert (code, out) == (130, "") and "Traceback" not in err and err.endswith("interrupted\n")
    (sweep_folder,) = tmp_path.glob("runs/*/*-sweep")
    assert not list(sweep_folder.glob("*-s3-*"))
    assert {Run.open(file.parent).state for file in sweep_folder.rglob("summary.json")} <= {"interrupted"}


@pytest.mark.long
@linux
def test_a_run_that_is_killed_has_failed_and_the_next_one_is_trained(tmp_path):
    one_by_one = ("hydra.launcher.workers=1", "trainer.max_steps=1000000,2")
    started = Started("train", "-m", *BEGUN, *one_by_one, cwd=tmp_path)
    started.wait_for("training step")
    (run,) = find_runs([tmp_path])
    os.kill(trainer_of(run), signal.SIGKILL)
    code, _, err = started.end()
    assert code == 1 and "failed (SIGKILL: the system may have run out of memory)" in err
    killed, other = sorted(find_runs([tmp_path]), key=lambda run: -run.config.trainer.max_steps)
    assert (killed.state, other.state) == ("failed", "finished")
    assert "SIGKILL" in killed.summary["message"]


@pytest.mark.long
def test_a_sweep_that_is_killed_stops_its_runs_and_they_can_go_on(tmp_path):
    started = Started("train", "-m", *BEGUN, "trainer.max_steps=1000000,2000000", cwd=tmp_path)
    started.wait_for("training step", times=2)
    os.kill(started.pid, signal.SIGKILL)
    wait_until(lambda: not any(run.alive() for run in find_runs([tmp_path])))
    for run in find_runs([tmp_path]):
        assert run.state == "interrupted" and "the end of its sweep's process" in run.summary["message"]
        assert list(run.path.glob("checkpoints/resume-*"))


@pytest.mark.long
@linux
def test_a_sweep_of_runs_of_two_processes_starts_nothing_twice(tmp_path):
    two = ("trainer.devices=2", "tracking=disabled", "tracking.probes=1", "seed=1,2")
    started = Started("train", "-m", *SMOKE, *two, cwd=tmp_path)
    code, out, err = started.end()
    assert code == 0 and len(out.splitlines()) == 1, err
    runs = find_runs([tmp_path])
    assert [run.path.parent for run in runs] == [tmp_path / out.strip()] * 2
    assert sorted((run.config.seed, run.state) for run in runs) == [(1, "finished"), (2, "finished")]
    assert len(list(tmp_path.glob("runs/*/*"))) == 1  # one sweep, and no run beside it
    wait_until(lambda: started.pid not in {session for _, _, session in processes()}, seconds=20)


@pytest.mark.long
def test_a_sweep_cannot_be_written_where_no_folder_can_be_made(tmp_path):
    (tmp_path / "runs").write_text("in the way")
    done = attncompare("train", "-m", *SMOKE, "seed=1,2", cwd=tmp_path)
    assert done.returncode == 2 and "runs=runs" in done.stderr and done.stderr.count("\n") == 1


def test_fresh_without_a_sweep_is_refused(cli):
    code, _, err = cli("train", "--fresh", "trainer=smoke")
    assert code == 2 and "--fresh" in err and "-m" in err and err.count("\n") == 1


def test_cases_are_trained_one_after_another(cli, monkeypatch):
    given = []
    monkeypatch.setattr("attncompare.sweep.folder.start", lambda jobs, *_, **__: given.extend(jobs))
    code, _, err = cli("train", "experiment=negative_control", "task=translation", "trainer=smoke")
    assert code == 0, err
    assert [(job.config.attention.name, job.config.seed) for job in given] == [
        *(("first", seed) for seed in range(1, 7)),
        *(("second", seed) for seed in range(7, 13)),
    ]


@pytest.mark.long
def test_after_its_time_a_sweep_ends_as_at_ctrl_c_and_the_same_command_goes_on(tmp_path):
    command = ("train", "-m", *SMOKE, "tracking=disabled", "seed=1,2,3", "hydra.launcher.workers=1")
    done = attncompare(*command, "sweep.max_time=1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (130, "") and "Traceback" not in done.stderr
    assert "sweep.max_time" in done.stderr and "the same command goes on" in done.stderr
    assert len(list(tmp_path.glob("runs/*/*-sweep/*/summary.json"))) < 3
    done = attncompare(*command, "sweep.max_time=2h", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {run.state for run in find_runs([tmp_path / done.stdout.strip()])} == {"finished"}
    assert len(list(tmp_path.glob("runs/*/*-sweep"))) == 1


@pytest.mark.long
def test_a_sweep_takes_in_a_run_that_was_trained_alone(tmp_path):
    alone = attncompare("train", *SMOKE, "tracking=disabled", "seed=1", cwd=tmp_path)
    done = attncompare("train", "-m", *SMOKE, "tracking=disabled", "seed=1,2", cwd=tmp_path)
    assert (alone.returncode, done.returncode) == (0, 0) and "1 of 2 runs finished already" in done.stderr
    paths = {run.path.resolve() for run in find_runs([tmp_path / done.stdout.strip()])}
    assert len(paths) == 2 and (tmp_path / alone.stdout.strip()).resolve() in paths
