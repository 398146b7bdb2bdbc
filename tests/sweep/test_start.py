"""Starting a sweep again: what is finished is skipped, what was begun is resumed, and two processes train nothing twice."""

import os

import pytest
import yaml
from filelock import FileLock
from wandb_server import log_in

from attncompare.errors import Refused, RunFailed
from attncompare.record import RunLock, code, find_runs
from attncompare.sweep.folder import labels

SEEDS = ("seed=1", "seed=2", "seed=3")


def test_finished_runs_are_skipped(begin, launcher, capsys):
    first = begin(*SEEDS)
    assert begin(*SEEDS) == first
    assert launcher.given == [[1, 2, 3]] and len(find_runs([first])) == 3
    assert f"all 3 runs finished already in {first}" in capsys.readouterr().err


def test_what_did_not_finish_is_resumed_in_its_own_folder(begin, launcher, capsys):
    launcher.states = {1: "interrupted", 2: "failed", 3: "running", 4: "waiting"}
    with pytest.raises(RunFailed, match=r"4 of 5 runs did not finish: .*seed 1; .*seed 2; .*seed 3; .*seed 4$"):
        begin(*SEEDS, "seed=4", "seed=5")
    launcher.states = {}
    folder = begin(*SEEDS, "seed=4", "seed=5")
    assert launcher.given[1] == [1, 2, 3, 4]
    assert sorted(run.config.seed for run in find_runs([folder])) == [1, 2, 3, 4, 5]
    said = capsys.readouterr().err
    assert "1 of 5 runs finished already" in said and "3 runs that did not finish: resumed" in said


def test_order_and_names_do_not_make_another_sweep_but_other_runs_do(begin, launcher):
    folder = begin("seed=1", "seed=2")
    assert begin("seed=2 notes=x", "seed=1 tags=[x]") == folder and len(launcher.given) == 1
    for others in (("seed=3",), (*SEEDS, "seed=4"), ("seed=1", "seed=2 optimizer.lr=1")):
        assert begin(*others) != folder
    assert launcher.given == [[1, 2], [3], [4], [2]]


def test_fresh_trains_all_of_them_in_a_new_folder_which_counts_from_then_on(begin, launcher):
    first = begin(*SEEDS)
    second = begin(*SEEDS, fresh=True)
    assert second != first and launcher.given == [[1, 2, 3], [1, 2, 3]]
    assert begin(*SEEDS) == second


def test_other_code_or_libraries_begin_a_new_sweep_and_are_named(begin, launcher, capsys, monkeypatch):
    first = begin(*SEEDS)
    monkeypatch.setattr(code, "sources", dict)
    monkeypatch.setattr(code, "version", lambda _: "other")
    assert begin(*SEEDS) != first and launcher.given[1] == [1, 2, 3]
    assert f"{first} has the same runs, but was made with another babel, code, " in capsys.readouterr().err
    monkeypatch.undo()
    assert begin(*SEEDS) == first  # back to the old code, back to its runs


def test_other_files_of_data_begin_a_new_sweep(begin, tmp_path):
    for split in ("train", "val", "test"):
        for language in ("en", "de"):
            (tmp_path / f"{split}.{language}").write_text("one\ntwo\n")
    lines = [f"data=pairs data.path={tmp_path} seed={seed}" for seed in (1, 2)]
    first = begin(*lines)
    assert begin(*lines) == first
    (tmp_path / "train.de").write_text("eins\nzwei\n")
    assert begin(*lines) != first


def test_damaged_records_and_sweep_files_are_not_taken(begin, launcher, capsys):
    folder = begin(*SEEDS)
    (run,) = [run for run in find_runs([folder]) if run.config.seed == 2]
    (run.path / "summary.json").write_text("{}")
    assert begin(*SEEDS) == folder and launcher.given[1] == [2]
    assert f"left aside, and trained anew: {run.path}" in capsys.readouterr().err
    (folder / "sweep.yaml").write_text("runs: 1\n")
    assert begin(*SEEDS) != folder


def test_one_process_at_a_time_trains_a_sweep_and_each_of_its_runs(begin, launcher):
    launcher.states = {1: "interrupted"}
    with pytest.raises(RunFailed):
        begin(*SEEDS)
    folder = launcher.sweeps[0].path
    with FileLock(folder / ".lock"), pytest.raises(Refused, match="another process is training this sweep"):
        begin(*SEEDS)
    (run,) = [run for run in find_runs([folder]) if run.config.seed == 1]
    lock = RunLock(run.path)
    with pytest.raises(Refused, match="another process is training this run of the sweep"):
        begin(*SEEDS)
    lock.release()
    launcher.states = {}
    begin(*SEEDS)
    assert launcher.given[-1] == [1]


def test_after_ctrl_c_the_same_command_goes_on(begin, launcher, capsys):
    launcher.states = {2: "ctrl-c"}
    with pytest.raises(KeyboardInterrupt):
        begin(*SEEDS)
    assert "1 of 3 runs finished; the same command" in capsys.readouterr().err
    launcher.states = {}
    begin(*SEEDS)
    assert launcher.given[1] == [2, 3]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("seed=1", "seed=1 name=x"), "translation scaled h1 seed 1 .* is asked for twice"),
        (("seed=1", "seed=2 runs=elsewhere"), "runs=.*,elsewhere"),
        (("seed=1", "seed=2 resume=x"), "resume=x"),
        (("seed=1", "seed=2 data=pairs data.path=nowhere"), "data.path=nowhere"),
    ],
)
def test_what_no_sweep_can_be_is_refused_before_anything_begins(begin, launcher, tmp_path, lines, words):
    with pytest.raises(Refused, match=words):
        begin(*lines)
    assert launcher.given == [] and not (tmp_path / "runs").exists()


def test_online_without_a_login_is_refused_before_anything_begins(begin, launcher, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(Refused, match="tracking=online"):
        begin("seed=1", "seed=2 tracking=online")
    assert launcher.given == [] and not (tmp_path / "runs").exists()
    log_in(monkeypatch, "http://127.0.0.1:9")
    begin("seed=1", "seed=2 tracking=online")
    assert launcher.given == [[1, 2]]


def test_sweep_yaml_holds_what_was_asked_for_and_the_hash_of_each_config(begin, jobs_of):
    values = yaml.safe_load((begin(*SEEDS) / "sweep.yaml").read_text())
    assert values["runs"] == [["seed=1"], ["seed=2"], ["seed=3"]]
    assert values["configs"] == [job.config.hash() for job in jobs_of(*SEEDS)]


def test_runs_that_differ_in_other_keys_have_labels_that_tell_them_apart(jobs_of):
    assert labels(jobs_of("seed=1", "seed=2", "optimizer.lr=1")) == [
        "translation scaled h1 seed 1 (seed=1)",
        "translation scaled h1 seed 2",
        "translation scaled h1 seed 1 (optimizer.lr=1)",
    ]
