"""SLURM and Ray, on this machine: the same commands, runs in the same folder, and the same words about those that fail."""

import contextlib
import importlib.util
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from commands import SMOKE, attncompare
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from attncompare.config.checks import _LAUNCHERS
from attncompare.errors import RunFailed
from attncompare.record import Run, RunLock, find_runs
from attncompare.sweep import elsewhere
from attncompare.sweep.elsewhere import Member, train_elsewhere
from attncompare.sweep.folder import Job, Members, start
from attncompare.sweep.listing import Listed
from attncompare.sweep.pool import Place

QUIET = (*SMOKE, "tracking=disabled")


def needs(launcher):
    module, extra = _LAUNCHERS[launcher]
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"needs the extra {extra}")


@pytest.mark.long
@needs("submitit_local")
def test_submitit_trains_two_runs_of_which_one_fails(tmp_path):
    diverging = ("optimizer.clip_norm=null", "optimizer.warmup_steps=0", "optimizer.lr=0.001,1e30")
    command = ("train", "-m", *QUIET, *diverging, "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5")
    done = attncompare(*command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("2 runs through submitit_local, in runs/")
    assert "loss is nan" in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: 1 of 2 runs did not finish: ")
    runs = find_runs([tmp_path])
    assert sorted((run.config.optimizer.lr, run.state) for run in runs) == [(0.001, "finished"), (1e30, "failed")]
    (folder,) = {run.path.parent for run in runs}
    assert {run.summary["group"] for run in runs} == {f"{folder.parent.name}-{folder.name}"}
    assert list((folder / "submitit").glob("*/*_log.err"))


@needs("submitit_local")
@pytest.mark.long
def test_submitit_gives_the_numbers_of_a_sweep_in_processes(tmp_path):
    numbers = {}
    for launcher in ("processes", "submitit_local"):
        (tmp_path / launcher).mkdir()
        done = attncompare("train", "-m", *QUIET, "seed=1,2", f"hydra/launcher={launcher}", cwd=tmp_path / launcher)
        assert done.returncode == 0, done.stderr
        runs = find_runs([tmp_path / launcher / done.stdout.strip()])
        numbers[launcher] = {run.config.seed: run.summary["weights_sha256"] for run in runs}
    assert numbers["processes"] == numbers["submitit_local"] and len(numbers["processes"]) == 2


@needs("ray")
@pytest.mark.long
def test_a_local_ray_instance_trains_two_runs(tmp_path):
    resources = ("+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.remote.num_cpus=1")
    command = ("train", "-m", *QUIET, "seed=1,2", "hydra/launcher=ray", *resources)
    done = attncompare(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    runs = find_runs([tmp_path / done.stdout.strip()])
    assert {(run.config.seed, run.state) for run in runs} == {(1, "finished"), (2, "finished")}
    again = attncompare(*command, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert "all 2 runs finished already" in again.stderr


@pytest.mark.long
@needs("submitit_slurm")
@pytest.mark.skipif(bool(os.environ.get("SLURM_CONF")), reason="there is a cluster here")
def test_a_launcher_that_gives_up_is_told_and_the_same_command_goes_on(tmp_path):
    done = attncompare("train", "-m", *QUIET, "seed=1,2", "hydra/launcher=submitit_slurm", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert 'hydra/launcher=submitit_slurm gave up: Could not detect "srun"' in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: 2 of 2 runs did not finish")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("hydra/launcher=joblib", "unknown launcher 'joblib'"),
        ("hydra/launcher=basic", "unknown launcher 'basic'; valid: processes, ray, submitit_local, submitit_slurm"),
        ("hydra/launcher=processes,ray", "unknown launcher 'processes,ray'"),
        ("hydra/sweeper=basic", "not open to configs"),
        ("hydra.launcher.setup=[x]", "not open to configs"),
        ("hydra.launcher.additional_parameters={x: y}", "not open to configs"),
        ("hydra.launcher.ray.init.address=x", "not open to configs"),
        ("hydra.launcher.submitit_folder=x", "not open to configs"),
        ("hydra.launcher.partition='a\nb'", "must be one number or name"),
        ("hydra.launcher.partition='a b'", "must be one number or name"),
        ("hydra.launcher.partition=a,b", "must be one number or name"),
    ],
)
def test_what_could_run_something_or_go_elsewhere_is_refused(cli, override, words):
    code, _, err = cli("train", "-m", "seed=1,2", override)
    assert code == 2 and words in err and err.count("\n") == 1


def test_a_process_that_a_cluster_starts_twice_goes_on_with_its_record(begin, launcher, monkeypatch):
    launcher.states = {2: "interrupted"}
    with pytest.raises(RunFailed):
        begin("seed=1", "seed=2")
    (sweep,) = launcher.sweeps
    runs = Members.read(sweep.path).runs.values()
    given = []
    monkeypatch.setattr(elsewhere, "train_member", lambda job, _: given.append(job) or SimpleNamespace(path=""))
    jobs = tuple(Job(run.config, (f"seed={run.config.seed}", "notes=${seed}"), own_configs=sweep.path) for run in runs)
    for job in jobs:
        overrides = SimpleNamespace(task=OmegaConf.create(list(job.overrides)))
        monkeypatch.setattr(HydraConfig, "get", lambda of=overrides: SimpleNamespace(overrides=of))
        # Another config than the sweep's, as where files have changed while the run waited.
        Member(Place(sweep.path, sweep.group, None), jobs)(OmegaConf.create({}))
    assert given == [replace(job, begun=run.path) for job, run in zip(jobs, runs, strict=True)] and len(given) == 2


class Ended:
    """What a launcher returns for a run that failed."""

    @property
    def return_value(self):
        raise ChildProcessError("Job 7 was killed\nwith a trace")


@pytest.fixture
def launched(jobs_of):
    """Launch a sweep of three seeds through ``launch``, which stands for a cluster; gives its folder and the states."""

    def launched(launch, *overrides):
        jobs = jobs_of(*(" ".join([*overrides, f"seed={seed}"]) for seed in (1, 2, 3)))
        choices = {"runtime": {"choices": {"hydra/launcher": "submitit_local"}}, "launcher": {}, "sweep": {}}
        config = OmegaConf.create({"hydra": choices})
        sweeps = []

        def begin(sweep, left, console):
            sweeps.append(sweep)
            cluster = lambda _, member: SimpleNamespace(launch=lambda *_: launch(sweep, left, member))  # noqa: E731
            train_elsewhere(sweep, left, console, config=config, launcher_of=cluster)

        with contextlib.suppress(RunFailed):
            start(jobs, "attncompare train -m", begin, fresh=False)
        runs = Members.read(sweeps[-1].path).runs.values()
        return Listed.read(sweeps[-1].path).states, {run.config.seed: run.summary.get("message") for run in runs}

    return launched


LOST = "its process ended without closing the record (Job 7 was killed)"


def test_a_record_that_its_process_never_closed_is_closed_when_the_launcher_returns(launched, leave):
    def launch(sweep, jobs, _):
        leave(sweep, jobs[0], "running")
        leave(sweep, jobs[1], "finished")
        return [Ended(), SimpleNamespace(return_value=""), Ended()]

    states, messages = launched(launch)
    assert states == {"failed": 2, "finished": 1}  # the third has no record at all
    assert messages == {1: LOST, 2: None}


def test_a_launcher_that_gives_up_leaves_no_record_that_seems_to_go_on(launched, leave):
    locks = []

    def launch(sweep, jobs, _):
        leave(sweep, jobs[0], "running")
        locks.append(RunLock(leave(sweep, jobs[1], "running")))  # still at work
        return Ended().return_value

    states, messages = launched(launch)
    locks[0].release()
    assert states == {"failed": 1, "training": 1, "waiting": 1}
    assert messages == {1: LOST, 2: None}


def test_after_ctrl_c_a_cluster_may_still_begin_what_it_was_given(launched, leave):
    def launch(sweep, jobs, _):
        folders.append(leave(sweep, jobs[0], "running"))
        raise KeyboardInterrupt

    folders = []
    with pytest.raises(KeyboardInterrupt):
        launched(launch)
    assert Run.open(folders[0]).state == "running"


def test_cores_are_divided_between_all_processes_of_all_runs(launched, monkeypatch):
    monkeypatch.setattr(elsewhere, "cores_here", lambda: 12)
    threads = []

    def launch(sweep, jobs, member):
        threads.append(member.place.threads)
        return [SimpleNamespace(return_value="") for _ in jobs]

    launched(launch)
    launched(launch, "trainer.devices=2")
    assert threads == [4, 2]


def test_a_launcher_that_is_not_installed_names_the_extra(cli, monkeypatch):
    monkeypatch.setitem(_LAUNCHERS, "ray", ("hydra_plugins.not_there", "ray"))
    code, _, err = cli("train", "-m", "seed=1,2", "hydra/launcher=ray")
    assert code == 2
    assert err == "error: hydra/launcher=ray: not installed; it comes with the extra: pip install 'attncompare[ray]'\n"
