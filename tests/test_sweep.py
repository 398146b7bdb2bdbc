"""Many runs: one process, one folder and one W&B run each, and what happens to the others when one does not end well."""

import os
import signal
import time
from pathlib import Path

import pytest
import yaml
from commands import ENDLESS, SMOKE, Started, attncompare, inspect

from attncompare.compare.checks import require_finished
from attncompare.errors import Refused
from attncompare.sweep.job import Job, labels
from attncompare.record import Run, find_runs


def by_seed(folder):
    return {run.config.seed: run for run in find_runs([folder])}


def descendants(pid):
    """Return the processes below ``pid``, from Linux' process table."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked

    def below(above):
        for child in [child for child, parent in parents.items() if parent == above]:
            yield child
            yield from below(child)

    return list(below(pid))


def trainer_of(run, started):
    """Return the process that holds the log of ``run`` open."""
    for pid in descendants(started.pid):
        opened = {link.resolve() for link in Path(f"/proc/{pid}/fd").iterdir()}
        if (run.path / "run.log").resolve() in opened:
            return pid
    raise AssertionError(f"no process trains {run.path}")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two seeds with two learning rates, of which one is beyond all reason: its loss becomes NaN."""
    folder = tmp_path_factory.mktemp("sweep")
    diverging = ("optimizer.clip_norm=null", "optimizer.warmup_steps=0", "optimizer.lr=0.001,1e30")
    return folder, attncompare("train", "-m", *SMOKE, *diverging, "seed=1,2", cwd=folder)


def test_each_run_has_a_folder_of_its_own_inside_the_sweep_s(sweep):
    folder, done = sweep
    (sweep_folder,) = folder.glob("runs/*/*-sweep")
    assert len(find_runs([folder])) == 4
    assert all(run.path.parent == sweep_folder for run in find_runs([folder]))
    asked = yaml.safe_load((sweep_folder / "sweep.yaml").read_text())["runs"]
    assert len(asked) == 4 and all("trainer=smoke" in overrides for overrides in asked)
    assert f"4 runs, {min(4, os.cpu_count())} at a time, in runs/" in done.stderr


def test_each_run_is_a_wandb_run_of_its_own_in_the_sweep_s_group(sweep):
    folder, _ = sweep
    starts = [inspect(run)["run"][0] for run in find_runs([folder])]
    (sweep_folder,) = folder.glob("runs/*/*-sweep")
    assert {start["run_group"] for start in starts} == {f"{sweep_folder.parent.name}-{sweep_folder.name}"}
    assert len({start["run_id"] for start in starts}) == 4


def test_a_failing_run_stops_no_other_and_is_told_at_the_end(sweep):
    folder, done = sweep
    runs = find_runs([folder])
    assert sorted((run.config.optimizer.lr, run.state) for run in runs) == [
        *[(0.001, "finished")] * 2,
        *[(1e30, "failed")] * 2,
    ]
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("error: 2 of 4 runs did not finish: ")
    assert done.stderr.count("loss is nan; no weights were written before") == 2


def test_a_finished_sweep_prints_its_folder_alone_and_is_not_trained_again(tmp_path):
    command = ("train", "-m", *SMOKE, "tracking=disabled", "seed=1,2")
    done = attncompare(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {run.state for run in find_runs([tmp_path / done.stdout.strip()])} == {"finished"}
    again = attncompare(*command, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert "all 2 runs finished already" in again.stderr
    assert by_seed(tmp_path).keys() == {1, 2}
    assert len(find_runs([tmp_path])) == 2


def test_ctrl_c_closes_every_run(tmp_path):
    started = Started("train", "-m", *ENDLESS, "seed=1,2,3", "hydra.launcher.workers=2", cwd=tmp_path)
    started.wait_for("training step", times=2)
    started.interrupt()
    code, out, err = started.end()
    assert (code, out) == (130, "")
    assert "Traceback" not in err and err.endswith("interrupted\n")
    runs = by_seed(tmp_path)
    assert runs.keys() == {1, 2}
    assert "\n0 of 3 runs finished; the same command goes on with the others\n" in err
    for run in runs.values():
        assert run.state == "interrupted"
        assert [end["exit_code"] for end in inspect(run)["exit"]] == [1]


def test_ctrl_c_before_the_first_step_leaves_no_run_that_seems_to_go_on(tmp_path):
    started = Started(
        "train", "-m", *ENDLESS, "tracking=disabled", "seed=1,2,3", "hydra.launcher.workers=2", cwd=tmp_path
    )
    started.wait_for("3 runs, 2 at a time")
    started.interrupt_alone()
    code, out, err = started.end()
    assert (code, out) == (130, "")
    assert "Traceback" not in err
    (sweep_folder,) = tmp_path.glob("runs/*/*-sweep")
    assert not [folder for folder in sweep_folder.iterdir() if folder.name.endswith("s3")]
    assert {Run.open(file.parent).state for file in sweep_folder.rglob("summary.json")} <= {"interrupted"}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for the process in Linux' process table")
def test_a_run_that_is_killed_has_failed_and_the_next_one_is_trained(tmp_path):
    endless = [override for override in ENDLESS if "max_steps" not in override]
    one_by_one = ("hydra.launcher.workers=1", "trainer.max_steps=1000000,2")
    started = Started("train", "-m", *endless, "tracking=disabled", *one_by_one, cwd=tmp_path)
    started.wait_for("training step")
    (run,) = find_runs([tmp_path])
    os.kill(trainer_of(run, started), signal.SIGKILL)
    code, _, err = started.end()
    assert code == 1
    killed, other = sorted(find_runs([tmp_path]), key=lambda run: -run.config.trainer.max_steps)
    assert other.state == "finished"
    assert killed.state == "failed"
    assert (
        "its process ended without closing the record (SIGKILL: the system may have run out of memory)"
        in killed.summary["message"]
    )
    assert "failed (SIGKILL: the system may have run out of memory)" in err
    with pytest.raises(Refused, match="the run is failed, not finished"):
        require_finished([killed])


def test_a_sweep_cannot_be_written_where_no_folder_can_be_made(tmp_path):
    (tmp_path / "runs").write_text("in the way")
    done = attncompare("train", "-m", *SMOKE, "seed=1,2", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: runs=runs: cannot write there") and done.stderr.count("\n") == 1


def test_runs_that_differ_in_other_keys_have_labels_that_tell_them_apart(make_config):
    jobs = [Job(make_config(override), (override,)) for override in ("seed=1", "seed=2", "optimizer.lr=1")]
    assert labels(jobs) == [
        "translation scaled h1 seed 1 (seed=1)",
        "translation scaled h1 seed 2",
        "translation scaled h1 seed 1 (optimizer.lr=1)",
    ]


def test_a_sweep_that_is_killed_stops_its_runs_and_they_can_go_on(tmp_path):
    endless = [override for override in ENDLESS if "max_steps" not in override]
    started = Started("train", "-m", *endless, "tracking=disabled", "trainer.max_steps=1000000,2000000", cwd=tmp_path)
    started.wait_for("training step", times=2)
    os.kill(started.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(run.alive() for run in find_runs([tmp_path])):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for run in find_runs([tmp_path]):
        assert run.state == "interrupted"
        assert run.summary["message"].endswith("by the end of its sweep's process")
        assert list(run.path.glob("checkpoints/resume-*"))
