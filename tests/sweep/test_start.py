"""Starting a sweep again: what is finished is skipped, what was begun goes on, and nobody trains the same twice."""

import os
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from wandb_server import log_in

from attncompare.errors import Refused, RunFailed
from attncompare.sweep import code
from attncompare.record import RunLock
from attncompare.record import find_runs

SEEDS = ("seed=1", "seed=2", "seed=3")


def test_finished_runs_are_skipped(begin, launcher, capsys):
    first = begin(*SEEDS)
    assert begin(*SEEDS) == first
    assert launcher.given == [[1, 2, 3]]
    assert f"all 3 runs finished already in {first} and skipped" in capsys.readouterr().err
    assert len(find_runs([first])) == 3


def test_what_did_not_finish_goes_on_where_it_stands(begin, launcher, capsys):
    launcher.states = {1: "interrupted", 2: "failed", 3: "running", 4: "waiting"}
    with pytest.raises(RunFailed, match=r"4 of 5 runs did not finish: .*seed 1; .*seed 2; .*seed 3; .*seed 4$"):
        begin(*SEEDS, "seed=4", "seed=5")
    launcher.states = {}
    folder = begin(*SEEDS, "seed=4", "seed=5")
    assert launcher.given[1] == [1, 2, 3, 4]
    runs = find_runs([folder])
    assert sorted(run.config.seed for run in runs) == [1, 2, 3, 4, 5]  # each in its own folder, none beside it
    said = capsys.readouterr().err
    assert "1 of 5 runs finished already" in said
    assert "3 runs that did not finish: going on where they stand" in said


def test_the_order_and_what_only_shows_do_not_make_another_sweep(begin, launcher):
    folder = begin("seed=1", "seed=2")
    assert begin("seed=2 notes=x", "seed=1 tags=[x]") == folder
    assert len(launcher.given) == 1


@pytest.mark.parametrize("others", [("seed=1",), ("seed=1", "seed=2", "seed=3"), ("seed=1", "seed=2 optimizer.lr=1")])
def test_other_runs_are_another_sweep(begin, launcher, others):
    assert begin("seed=1", "seed=2") != begin(*others)
    assert len(launcher.given[1]) == len(others)


def test_fresh_trains_all_of_them_in_a_new_folder_which_counts_from_then_on(begin, launcher):
    first = begin(*SEEDS)
    second = begin(*SEEDS, fresh=True)
    assert second != first
    assert launcher.given == [[1, 2, 3], [1, 2, 3]]
    assert begin(*SEEDS) == second


def test_other_code_begins_a_new_sweep_and_says_so(begin, launcher, capsys, monkeypatch):
    first = begin(*SEEDS)
    monkeypatch.setattr(code, "_sources", lambda: "other")
    monkeypatch.setattr(code, "version", lambda _: "other")
    assert begin(*SEEDS) != first
    assert launcher.given[1] == [1, 2, 3]
    said = capsys.readouterr().err
    assert f"{first} has the same runs, but was made with another babel, code, " in said
    monkeypatch.undo()
    assert begin(*SEEDS) == first  # back to the old code, back to its runs


def test_other_data_begin_a_new_sweep(begin, launcher, tmp_path):
    for split in ("train", "val", "test"):
        for language in ("en", "de"):
            (tmp_path / f"{split}.{language}").write_text("one\ntwo\n")
    lines = [f"data=pairs data.path={tmp_path} seed={seed}" for seed in (1, 2)]
    first = begin(*lines)
    assert begin(*lines) == first
    (tmp_path / "train.de").write_text("eins\nzwei\n")
    assert begin(*lines) != first


def test_what_only_looks_at_runs_is_no_other_code(tmp_path, monkeypatch):
    for name in ("compare", "model"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("1")
    monkeypatch.setattr(code, "_PACKAGE", tmp_path)
    assert all((Path(code.__file__).parents[1] / name).exists() for name in code.ONLY_LOOKS)
    before = code._sources()
    (tmp_path / "compare" / "a.py").write_text("2")
    assert code._sources() == before
    (tmp_path / "model" / "b.py").write_text("1")
    assert code._sources() != before


def test_a_damaged_run_is_named_and_trained_anew(begin, launcher, capsys):
    folder = begin(*SEEDS)
    (run,) = [run for run in find_runs([folder]) if run.config.seed == 2]
    (run.path / "summary.json").write_text("{}")
    begin(*SEEDS)
    assert launcher.given[1] == [2]
    assert f"left aside, and trained anew: {run.path}" in capsys.readouterr().err
    assert begin(*SEEDS) == folder
    assert len(launcher.given) == 2


def test_a_damaged_sweep_file_is_not_taken_for_the_same_sweep(begin, launcher):
    folder = begin(*SEEDS)
    (folder / "sweep.yaml").write_text("runs: 1\n")
    assert begin(*SEEDS) != folder


def test_a_sweep_that_is_being_trained_is_refused(begin, launcher):
    folder = begin(*SEEDS)
    with FileLock(folder / ".lock"), pytest.raises(Refused, match=r"another process is training this sweep"):
        begin(*SEEDS)
    begin(*SEEDS)


def test_a_run_of_it_that_is_being_trained_is_refused(begin, launcher):
    launcher.states = {1: "interrupted"}
    with pytest.raises(RunFailed):
        begin(*SEEDS)
    (run,) = [run for run in find_runs([launcher.sweeps[0].path]) if run.config.seed == 1]
    lock = RunLock(run.path)
    with pytest.raises(Refused, match=r"another process is training this run of the sweep"):
        begin(*SEEDS)
    lock.release()
    launcher.states = {}
    begin(*SEEDS)
    assert launcher.given[-1] == [1]


def test_ctrl_c_says_how_to_go_on(begin, launcher, capsys):
    launcher.states = {2: "ctrl-c"}
    with pytest.raises(KeyboardInterrupt):
        begin(*SEEDS)
    assert "1 of 3 runs finished; the same command goes on with the others" in capsys.readouterr().err
    launcher.states = {}
    begin(*SEEDS)
    assert launcher.given[1] == [2, 3]


def test_the_same_run_twice_is_refused(begin, launcher):
    with pytest.raises(Refused, match=r"translation scaled h1 seed 1 is asked for twice"):
        begin("seed=1", "seed=1 name=x")
    assert launcher.given == []


def test_runs_in_several_folders_are_refused(jobs_of, launcher, begin):
    with pytest.raises(Refused, match=r"runs=.*,elsewhere: the runs of a sweep stand in one folder"):
        begin("seed=1", "seed=2 runs=elsewhere")


def test_sweep_yaml_holds_what_was_asked_for_and_the_hash_of_each_config(begin, jobs_of):
    folder = begin(*SEEDS)
    values = yaml.safe_load((folder / "sweep.yaml").read_text())
    assert values["runs"] == [["seed=1"], ["seed=2"], ["seed=3"]]
    assert values["configs"] == [job.config.hash() for job in jobs_of(*SEEDS)]
    assert len(set(values["configs"])) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_runs_folder_that_cannot_be_written_is_refused(begin, launcher, tmp_path):
    (tmp_path / "runs").mkdir(mode=0o500)
    with pytest.raises(Refused, match="cannot write there"):
        begin(*SEEDS)


def test_online_without_a_login_is_refused_before_anything_begins(begin, launcher, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(Refused, match="tracking=online: no W&B login found"):
        begin("seed=1", "seed=2 tracking=online")
    assert launcher.given == [] and not (tmp_path / "runs").exists()
    log_in(monkeypatch, "http://127.0.0.1:9")
    begin("seed=1", "seed=2 tracking=online")
    assert launcher.given == [[1, 2]]
