"""Reading a record back: what is damaged or changed is refused in one line, wherever it is."""

import json
import shutil
from pathlib import Path

import pytest

from attncompare.compare import gather
from attncompare.errors import Refused
from attncompare.maps import maps_of
from attncompare.record import SWEEP_FILE, Run, files, find_runs, not_started, seal, write_yaml


@pytest.fixture
def copied(finished_run, tmp_path):
    return Run.open(shutil.copytree(finished_run.path, tmp_path / "copied", ignore=shutil.ignore_patterns("wandb")))


def test_a_finished_record_tells_everything(finished_run):
    run = Run.open(finished_run.path).require_finished()
    assert {row["id"] for row in run.items()} == {row["id"] for row in run.predictions()} != set()
    assert all(isinstance(number, int | float) for row in run.items() for number in row["loss"])
    assert maps_of(run) and run.metrics() and run.environment()["packages"] and run.dropped == ()
    assert run.has("metrics.csv") and not run.has("run.log")


def test_nothing_is_read_out_of_a_folder_s_name(copied, finished_run):
    renamed = copied.path.rename(copied.path.with_name("99-99-99-language_model-dot-h64-s9-ffffff"))
    run = Run.open(renamed).require_finished()
    assert (run.config, run.metrics()) == (finished_run.config, finished_run.metrics())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format 3"),
        ({"state": "asleep"}, "state"),
        ({"config_sha256": None}, "config_sha256"),
        ({"resumed": {}}, "resumed"),
        ({"wandb": {}}, "wandb.id"),
        ({"best_step": None}, "best_step"),
        ({"test": {"loss": "low"}}, "test.loss"),
        ({"steps": 1.5}, "steps"),
    ],
)
def test_a_summary_that_no_run_writes_is_refused_by_its_key(copied, change, words):
    values = json.loads((copied.path / "summary.json").read_text())
    changed = {key: value for key, value in {**values, **change}.items() if value is not None or key == "message"}
    (copied.path / "summary.json").write_text(json.dumps(changed))
    seal(copied.path)
    with pytest.raises(Refused) as refused:
        Run.open(copied.path).require_finished()
    assert "summary.json" in str(refused.value) and words in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "read", "words"),
    [
        ("summary.json", '{"format": 3, "sta', lambda run: Run.open(run.path), "damaged"),
        ("summary.json", "[]", lambda run: Run.open(run.path), "format 3"),
        ("config.yaml", "seed: [1", lambda run: run.config, "yaml"),
        ("config.yaml", "seed: 1", lambda run: run.config, "missing"),
        ("config.yaml", "!!python/object/apply:os.mkdir [evil]\n", lambda run: run.config, "tag"),
        ("metrics.csv", "step,epoch,train/loss\n1,0,abc\n", Run.metrics, "abc"),
        ("metrics.csv", "step,epoch,train/loss\n1,0,0.5\n2,0\n", Run.metrics, "header"),
        ("metrics.csv", "step,epoch,train/loss\n,0,0.5\n", Run.metrics, "step"),
        ("heads.csv", "step,site,layer,head,entropy\n0,cross,1,1,abc\n", Run.heads, "abc"),
        ("heads.csv", "step,site,head,entropy\n0,cross,1,0.5\n", Run.heads, "header"),
        ("heads.csv", "step,site,layer,head,entropy\n0,cross,1,x.5,0.5\n", Run.heads, "x.5"),
        ("heads.csv", "step,site,layer,head,entropy\n0,,1,1,0.5\n", Run.heads, "site"),
        ("predictions.jsonl", '{"id": 0}\n{"id"', Run.predictions, "damaged"),
        ("predictions.jsonl", "3\n", Run.predictions, "damaged"),
        ("items.jsonl", '{"loss": [1.5, 3]}\n', Run.items, "id"),
        ("items.jsonl", '{"id": 0, "loss": [1.5, "3"]}\n', Run.items, "loss"),
        ("items.jsonl", '{"id": 0, "loss": 1.5}\n', Run.items, "loss"),
        ("environment.json", "[]", Run.environment, "damaged"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line_that_names_it(copied, name, content, read, words):
    (copied.path / name).write_text(content)
    seal(copied.path)
    with pytest.raises(Refused) as refused:
        read(Run.open(copied.path) if name != "summary.json" else copied)
    line = str(refused.value)
    assert str(copied.path / name) in line and words in line and "\n" not in line
    assert not Path("evil").exists()


READERS = {
    "summary.json": lambda run: Run.open(run.path),
    "config.yaml": lambda run: run.config,
    "metrics.csv": Run.metrics,
    "environment.json": Run.environment,
    "predictions.jsonl": Run.predictions,
    "items.jsonl": Run.items,
    "maps/step-0000002.npz": maps_of,
    "manifest.json": Run.metrics,
}


@pytest.mark.parametrize("name", READERS)
def test_a_finished_record_that_was_changed_or_lost_a_file_is_refused(copied, name):
    file = copied.path / name
    file.write_bytes(file.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(Refused, match=Path(name).stem):
        READERS[name](Run(copied.path, copied.summary))
    file.unlink()
    with pytest.raises(Refused, match=Path(name).stem):
        READERS[name](Run(copied.path, copied.summary))


def test_a_file_that_the_finished_run_did_not_write_is_refused(copied):
    shutil.copy(copied.path / "maps" / "step-0000002.npz", copied.path / "maps" / "step-0000009.npz")
    assert [step for step, _ in maps_of(copied)] == [0, 2]
    with pytest.raises(Refused, match="not a file of the finished run"):
        copied.read("maps/step-0000009.npz")


def test_runs_are_found_at_any_depth_once_each(finished_run, copied, tmp_path):
    runs = tmp_path / "runs" / "a" / "b"
    for name in ("second", "first"):
        shutil.copytree(copied.path, runs / name)
    found = find_runs([tmp_path / "runs", runs / "first", finished_run.path])
    assert [run.path.name for run in found] == ["first", "second", finished_run.path.name]
    for nothing in (tmp_path / "nowhere", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(Refused, match=nothing.name):
            find_runs([nothing])


@pytest.mark.parametrize("search", [find_runs, not_started, gather])
def test_runs_are_not_searched_for_on_a_whole_disk(monkeypatch, search):
    monkeypatch.setattr(files, "_MOST_LOOKED_AT", 1000)
    with pytest.raises(Refused, match="/: holds more than 1000 files and folders"):
        search([Path("/")])


def test_runs_of_a_sweep_without_a_record_are_counted(copied, tmp_path):
    shutil.copytree(copied.path, tmp_path / "sweep" / "first")
    shutil.copytree(copied.path, tmp_path / "sweep" / "first-again")
    write_yaml(tmp_path / "sweep" / SWEEP_FILE, {"runs": [["seed=1"], ["seed=2"], ["seed=3"]]})
    (sentence,) = not_started([tmp_path])
    assert "2 of its 3 runs" in sentence
    write_yaml(tmp_path / "sweep" / SWEEP_FILE, {"runs": 3})
    assert "damaged" in not_started([tmp_path])[0]
