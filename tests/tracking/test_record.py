"""The run record (C7): names, whole files, reading back, and refusing what is damaged."""

import datetime as real_datetime
import errno
import json
import math
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from attncompare.errors import Refused
from attncompare.record import files, folders
from attncompare.record import create_folder, require_writable
from attncompare.record import Run, find_runs, mark_lost
from attncompare.record import RecordLogger
from attncompare.record import seal

COLUMNS = ("train/loss", "val/loss")


@pytest.fixture
def frozen_clock(monkeypatch):
    class Frozen(real_datetime.datetime):
        @classmethod
        def now(cls):
            return cls(2031, 2, 3, 4, 5, 6)

    monkeypatch.setattr(folders, "datetime", Frozen)


@pytest.fixture
def config(make_config):
    return make_config("attention=additive", "attention.heads=3", "seed=7")


@pytest.fixture
def writer(config):
    return RecordWriter.create(create_folder(config), config, ["seed=7"], COLUMNS)


@pytest.fixture
def copied(finished_run, tmp_path):
    return Run.open(shutil.copytree(finished_run.path, tmp_path / "copied"))


def test_a_folder_is_named_by_date_time_and_what_is_trained(config, tmp_path, frozen_clock):
    folder = create_folder(config)
    name = f"04-05-06-translation-additive-h3-s7-{config.hash()[:6]}"
    assert folder == tmp_path / "runs" / "2031-02-03" / name
    assert create_folder(config, tmp_path / "sweep") == tmp_path / "sweep" / name


def test_runs_started_in_the_same_instant_get_folders_of_their_own(config, frozen_clock, monkeypatch):
    together, mkdir, arrived = threading.Barrier(3), Path.mkdir, threading.local()

    def mkdir_together(path, *arguments, **options):
        if "translation" in path.name and not hasattr(arrived, "once"):
            arrived.once = True
            together.wait(timeout=10)  # all three have seen that the name is free
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir_together)
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: create_folder(config), range(3)))
    assert len(set(made)) == 3
    assert all(folder.is_dir() for folder in made)


def test_a_runs_folder_that_cannot_be_written_is_refused_and_a_good_one_left_as_it_was(tmp_path):
    (tmp_path / "file").write_text("")
    for runs in (str(tmp_path / "file"), str(tmp_path / "file" / "runs"), "/proc/runs"):
        with pytest.raises(Refused, match=f"^runs={runs}: cannot write there"):
            require_writable(Path(runs), f"runs={runs}")
    require_writable(tmp_path / "new" / "runs", "runs=new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    files.write_json(path, {"a": 1})

    def fail(self, target):
        raise OSError(errno.EIO, "no rename today")

    monkeypatch.setattr(files.Path, "replace", fail)
    with pytest.raises(OSError, match="no rename") as failed:
        files.write_json(path, {"a": 2})
    assert failed.value.filename == str(path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_file_appears_under_its_name_only_when_it_is_complete(tmp_path, monkeypatch):
    path, seen = tmp_path / "a.json", []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (seen.append(path.exists()), sync(number)))
    files.write_json(path, {"a": 1})
    assert seen[0] is False and path.exists()  # the second is the folder's, after the renaming


def test_metrics_come_back_with_the_same_bits(writer):
    values = [0.1, 1 / 3, 1e-320, 1.7976931348623157e308, -0.0, 3.0, math.inf, 2.5e-5]
    for step, value in enumerate(values):
        writer.log(step, 0, {"train/loss": value})
    rows = Run.open(writer.path).metrics()
    assert [row["train/loss"].hex() for row in rows] == [value.hex() for value in values]
    assert [row["step"] for row in rows] == list(range(len(values)))
    assert all("val/loss" not in row for row in rows)
    writer.log(99, 1, {"val/loss": math.nan})
    assert math.isnan(Run.open(writer.path).metrics()[-1]["val/loss"])


def test_a_metric_without_a_column_is_a_mistake(writer):
    with pytest.raises(KeyError, match="val/bleu"):
        writer.log(1, 0, {"val/bleu": 1.0})


def test_a_record_says_running_until_it_is_closed(writer, config):
    run = Run.open(writer.path)
    assert run.state == "running"
    assert run.config == config
    assert yaml.safe_load((run.path / "overrides.yaml").read_text()) == ["seed=7"]
    assert run.predictions() == [] and run.metrics() == [] and run.map_files() == []
    writer.close("failed", "the loss is nan")
    run = Run.open(writer.path)
    assert (run.state, run.summary["message"]) == ("failed", "the loss is nan")
    assert run.summary["wall_seconds"] >= 0


def test_a_lost_run_has_failed_and_a_closed_one_keeps_its_state(writer):
    mark_lost(writer.path, "killed")
    assert Run.open(writer.path).summary["state"] == "failed"
    assert Run.open(writer.path).summary["message"] == "killed"
    writer.close("interrupted", "Ctrl-C")
    mark_lost(writer.path, "killed")
    assert Run.open(writer.path).state == "interrupted"


def test_nothing_is_read_out_of_a_folder_s_name(copied, finished_run):
    renamed = copied.path.rename(copied.path.with_name("99-99-99-language_model-dot-h64-s9-ffffff"))
    run = Run.open(renamed).require_finished()
    assert (run.config, run.metrics()) == (finished_run.config, finished_run.metrics())


@pytest.mark.parametrize(
    ("name", "content", "read", "words"),
    [
        ("summary.json", '{"format": 2, "sta', lambda run: Run.open(run.path), "damaged"),
        ("summary.json", "[]", lambda run: Run.open(run.path), "not a record of format 2"),
        ("summary.json", '{"format": 99, "state": "finished"}', lambda run: Run.open(run.path), "format 2"),
        ("summary.json", '{"format": 2, "state": "asleep"}', lambda run: Run.open(run.path), "format 2"),
        (
            "summary.json",
            '{"format": 2, "state": "finished", "val": {}}',
            lambda run: Run.open(run.path).require_finished(),
            "no data, best_step",
        ),
        ("config.yaml", "seed: [1", lambda run: run.config, "not readable as yaml"),
        ("config.yaml", "seed: 1", lambda run: run.config, "missing"),
        ("config.yaml", "hello", lambda run: run.config, "config.yaml"),
        ("config.yaml", "\0", lambda run: run.config, "config.yaml"),
        ("metrics.csv", "step,epoch,train/loss\n1,0,abc\n", lambda run: run.metrics(), "abc"),
        ("metrics.csv", "step,epoch,train/loss\n1,0,0.5\n2,0\n", lambda run: run.metrics(), "do not fit its header"),
        ("metrics.csv", "", lambda run: run.metrics(), "damaged"),
        ("predictions.jsonl", '{"id": 0}\n{"id"', lambda run: run.predictions(), "damaged"),
        ("losses.jsonl", '{"id": 0, "nats": 1.5, "tokens": -1}\n', lambda run: run.losses(), "no loss of an item"),
        ("environment.json", "[", lambda run: run.environment(), "damaged"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line_that_names_it(copied, name, content, read, words):
    (copied.path / name).write_text(content)
    seal(copied.path)
    with pytest.raises(Refused) as refused:
        read(Run.open(copied.path) if name != "summary.json" else copied)
    line = str(refused.value)
    assert str(copied.path / name) in line and words in line and "\n" not in line


READERS = {
    "summary.json": lambda run: Run.open(run.path),
    "config.yaml": lambda run: run.config,
    "metrics.csv": lambda run: run.metrics(),
    "environment.json": lambda run: run.environment(),
    "predictions.jsonl": lambda run: run.predictions(),
    "losses.jsonl": lambda run: run.losses(),
    "maps/step-0000002.npz": lambda run: run.maps(),
    "manifest.json": lambda run: run.metrics(),
}


@pytest.mark.parametrize("name", READERS)
def test_a_finished_record_that_was_changed_afterwards_is_refused(copied, name):
    file = copied.path / name
    file.write_bytes(file.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(Refused, match=f"{name}: (not what the finished run wrote|damaged)"):
        READERS[name](Run(copied.path, copied.summary))


@pytest.mark.parametrize("name", READERS)
def test_a_file_missing_from_a_finished_record_is_refused_and_not_taken_for_empty(copied, name):
    (copied.path / name).unlink()
    with pytest.raises(Refused, match=Path(name).stem):
        READERS[name](Run(copied.path, copied.summary))


def test_a_file_that_the_finished_run_did_not_write_is_refused(copied):
    shutil.copy(copied.path / "maps" / "step-0000002.npz", copied.path / "maps" / "step-0000009.npz")
    assert [step for step, _ in copied.maps()] == [2]
    with pytest.raises(Refused, match="not a file of the finished run"):
        copied.read("maps/step-0000009.npz")


def test_half_a_line_of_a_run_that_goes_on_is_not_read(writer):
    writer.log(1, 0, {"train/loss": 0.5})
    with (writer.path / "metrics.csv").open("a") as file:
        file.write("2,0,0.2")
    assert [row["step"] for row in Run.open(writer.path).metrics()] == [1]


def test_a_row_that_cannot_be_written_leaves_the_rows_before_it(writer, monkeypatch):
    writer.log(1, 0, {"train/loss": 0.5})
    before = (writer.path / "metrics.csv").read_bytes()
    write = os.write

    def full(descriptor, content):
        if len(content) < 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content[:4])

    monkeypatch.setattr(files.os, "write", full)
    with pytest.raises(OSError, match="No space left") as failed:
        writer.log(2, 0, {"train/loss": 0.25})
    assert failed.value.filename == str(writer.path / "metrics.csv")
    assert (writer.path / "metrics.csv").read_bytes() == before


def test_a_record_keeps_room_for_its_own_end(writer):
    assert (writer.path / ".reserve").stat().st_size >= 2**16
    writer.close("failed", "the disk is full")
    assert not (writer.path / ".reserve").exists()


def test_a_config_with_a_python_tag_executes_nothing(copied):
    (copied.path / "config.yaml").write_text("!!python/object/apply:os.mkdir [evil]\n")
    seal(copied.path)
    with pytest.raises(Refused, match=r"config\.yaml"):
        _ = copied.config
    assert not Path("evil").exists()


def test_runs_are_found_at_any_depth_once_each(finished_run, copied, tmp_path):
    runs = tmp_path / "runs" / "a" / "b"
    for name in ("second", "first"):
        shutil.copytree(copied.path, runs / name)
    found = find_runs([tmp_path / "runs", runs / "first", finished_run.path])
    assert [run.path.name for run in found] == ["first", "second", finished_run.path.name]


def test_a_path_without_runs_is_refused(tmp_path):
    with pytest.raises(Refused, match="nowhere: no such folder"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(Refused, match="neither a run nor a folder that holds runs"):
        find_runs([tmp_path])
