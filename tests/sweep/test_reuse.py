"""A sweep that grows trains what is new: runs that are there already are taken in by reference, if they are the same."""

import json
import shutil
from dataclasses import replace

import pytest
import yaml

from attncompare.errors import Refused, RunFailed
from attncompare.record import RunLock, code, create_folder, find_runs, not_started, shared_runs
from attncompare.sweep import reuse
from attncompare.sweep.folder import Sweep

GRID = [f"attention={name} seed={seed}" for name in ("dot", "scaled") for seed in (1, 2)]
MORE = [f"attention={name} seed=3" for name in ("dot", "scaled")]


def paths_of(folder):
    return sorted(run.path.resolve() for run in find_runs([folder]))


def test_more_seeds_and_then_more_variants_train_only_these(begin, launcher, capsys):
    first = begin(*GRID)
    second = begin(*GRID, *MORE)
    assert launcher.given[1:] == [[3, 3]] and "4 of 6 runs finished already" in capsys.readouterr().err
    third = begin(*GRID, *MORE, *(f"attention=additive seed={seed}" for seed in (1, 2, 3)))
    assert launcher.given[2:] == [[1, 2, 3]]
    assert len(paths_of(third)) == 9 and set(paths_of(first)) < set(paths_of(second)) < set(paths_of(third))
    assert begin(*GRID, *MORE) == second and begin(*GRID) == first and len(launcher.given) == 3
    assert not not_started([first.parents[1]])
    assert begin(*MORE).parent == first.parent and len(launcher.given) == 3, "a smaller sweep trains nothing"


def test_runs_trained_alone_count_and_unfinished_ones_go_on(begin, launcher, leave, jobs_of):
    sweep = Sweep.open(begin("seed=9"))
    alone = [replace(job, begun=create_folder(job.config)) for job in jobs_of("seed=1", "seed=2")]
    finished, interrupted = (leave(sweep, job, state) for job, state in zip(alone, ("finished", "failed"), strict=True))
    folder = begin("seed=1", "seed=2", "seed=3")
    assert launcher.given[-1] == [2, 3]
    assert {finished.resolve(), interrupted.resolve()} < set(paths_of(folder))
    assert {run.state for run in find_runs([folder])} == {"finished"}


def test_fresh_takes_nothing_in_neither_at_once_nor_later(begin, launcher):
    begin(*GRID)
    launcher.states = {3: "interrupted"}
    with pytest.raises(RunFailed):
        begin(*GRID, *MORE, fresh=True)
    launcher.states = {}
    folder = begin(*GRID, *MORE)
    assert launcher.given[1:] == [[1, 2, 1, 2, 3, 3], [3, 3]] and shared_runs(folder) == {}


@pytest.mark.parametrize("other", ["code", "version", "processor", "device"])
def test_runs_of_other_code_versions_or_machines_are_taken_only_if_asked(begin, launcher, monkeypatch, capsys, other):
    begin(*GRID)
    with monkeypatch.context() as patch:
        if other == "code":
            patch.setattr(code, "sources", dict)
        elif other == "version":
            patch.setattr(code, "version", lambda _: "other")
        elif other == "processor":
            patch.setattr(reuse, "processor", lambda: {"cpu": "another", "cpu_features": []})
        else:
            patch.setattr(reuse, "_device", lambda: "a GPU")
        begin(*GRID, *MORE)
        assert len(launcher.given[-1]) == 6 and "sweep.reuse=always" in capsys.readouterr().err
        begin(*(f"{line} sweep.reuse=always" for line in [*GRID, "attention=additive seed=1"]))
        assert launcher.given[-1] == [1]


def test_what_is_damaged_or_being_trained_is_not_taken(begin, launcher, leave, jobs_of):
    first = begin("seed=1", "seed=2")
    (run,) = [run for run in find_runs([first]) if run.config.seed == 1]
    (run.path / "summary.json").write_text(json.dumps({**run.summary, "wall_seconds": 7.0}))
    alive = leave(Sweep.open(first), jobs_of("seed=3")[0], "running")
    lock = RunLock(alive)
    begin("seed=1", "seed=2", "seed=3")
    assert launcher.given[-1] == [1, 3]
    lock.release()


def test_a_shared_run_that_is_gone_is_said_once_everywhere_and_trained_again(begin, launcher, cli, capsys):
    first, second = begin(*GRID), begin(*GRID, *MORE)
    gone = paths_of(first)[0]
    shutil.rmtree(gone)
    _, out, _ = cli("sweeps", first.parents[1])
    assert sum(gone.name in line for line in out.splitlines()) == 1 and f"  3 shared with {first}" in out
    (listed,) = json.loads(cli("sweeps", second, "--json")[1])["sweeps"]
    assert (len(listed["shared"]), listed["gone"], listed["states"]) == (3, [str(gone)], {"finished": 5, "waiting": 1})
    (sentence,) = not_started([second])
    assert str(gone) in sentence
    assert begin(*GRID, *MORE) == second and len(launcher.given[-1]) == 1
    assert str(gone) in capsys.readouterr().err
    assert not_started([second]) == [] and len(paths_of(second)) == 6


def test_a_sweep_that_goes_on_takes_in_what_another_one_finished_meanwhile(begin, launcher):
    launcher.states = {2: "interrupted"}
    with pytest.raises(RunFailed):
        begin(*GRID)
    launcher.states = {}
    folder = launcher.sweeps[-1].path
    for run in find_runs([folder]):
        if run.state != "finished":
            shutil.rmtree(run.path)
    larger = begin(*GRID, *MORE)
    assert begin(*GRID) == folder and len(launcher.given) == 2
    assert set(paths_of(folder)) < set(paths_of(larger))


def test_what_is_gone_is_taken_from_where_it_is_again(begin, launcher):
    first, second = begin(*GRID), begin(*GRID, *MORE)
    third = begin(*GRID, "attention=additive seed=1")
    shutil.rmtree(paths_of(first)[0])
    begin(*GRID, *MORE)
    count = len(launcher.given)
    assert begin(*GRID, "attention=additive seed=1") == third and len(launcher.given) == count
    assert len(set(paths_of(third)) & {path for path in paths_of(second) if path.parent == second.resolve()}) == 1


@pytest.mark.parametrize(
    "path", ["/etc", "../../../other", "run", "../a/../../../b", "..", "../..", "..\\x", "../\x1b"]
)
def test_a_sweep_shares_no_run_from_anywhere_else(begin, path):
    folder = begin(*GRID)
    values = yaml.safe_load((folder / "sweep.yaml").read_text())
    (folder / "sweep.yaml").write_text(yaml.safe_dump(values | {"shared": {values["configs"][0]: path}}))
    with pytest.raises(Refused, match="damaged"):
        Sweep.open(folder)
    assert shared_runs(folder) == {} and len(find_runs([folder])) == 4


def test_sweeps_of_the_format_before_are_read_and_gone_on_with(begin, launcher):
    folder = begin(*GRID)
    values = yaml.safe_load((folder / "sweep.yaml").read_text())
    del values["shared"]
    (folder / "sweep.yaml").write_text(yaml.safe_dump(values | {"format": 2}))
    assert begin(*GRID) == folder and len(launcher.given) == 1


def test_settings_of_a_sweep_are_those_of_all_its_runs_and_of_no_runs_identity(begin, launcher):
    with pytest.raises(Refused, match="sweep"):
        begin("seed=1 sweep.max_time=60", "seed=2")
    folder = begin("seed=1", "seed=2")
    assert begin("seed=1 sweep.max_time=2h", "seed=2 sweep.max_time=2h") == folder and len(launcher.given) == 1
