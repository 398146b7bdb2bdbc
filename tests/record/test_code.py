"""Which edits train a sweep anew: those of what training imports, of kernels and of installed parts, and no others."""

import shutil
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import attncompare
from attncompare.record import code

PACKAGE = Path(attncompare.__file__).parent


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the package's sources, which may be edited."""
    copy = tmp_path / "attncompare"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "conf"))
    monkeypatch.setattr(code.sources, "__defaults__", (copy,))
    return copy


def some(folder, pattern):
    return next(iter(sorted(folder.rglob(pattern))))


@pytest.mark.parametrize("edited", ["attention/*.cpp", "attention/**/*.py", "data/corpora/*.py", "tasks/*.py"])
def test_editing_a_kernel_a_score_or_a_task_trains_anew(copied, make_config, edited):
    config = make_config()
    before = code.made_with([config])
    room, _, pattern = edited.partition("/")
    file = some(copied / room, pattern)
    file.write_text(file.read_text() + "\n")
    after = code.made_with([config])
    assert {name for name in after if after[name] != before[name]} == {"code"}


def test_editing_a_report_a_picture_or_a_record_trains_nothing_anew(copied, make_config):
    config = make_config()
    before = code.made_with([config])
    for room in ("compare", "maps", "record", "wandb_logging", "sweep", "cli", "dashboard", "reproduce", "inference"):
        for file in (copied / room).rglob("*.*"):
            file.write_text("edited")
    assert code.made_with([config]) == before


def test_a_file_that_is_added_to_a_room_of_training_counts(copied, make_config):
    before = code.made_with([make_config()])
    (copied / "data" / "another.py").write_text("")
    assert code.made_with([make_config()])["code"] != before["code"]


def test_installed_parts_count_where_a_config_names_them(tmp_path, monkeypatch, make_config):
    (tmp_path / "extension").mkdir()
    part = tmp_path / "extension" / "window.py"
    part.write_text("class Window: ...")
    monkeypatch.syspath_prepend(tmp_path)
    config = make_config()
    name = str(config.attention.name)
    entries = [EntryPoint(one, "extension.window:Window", "attncompare.scores") for one in (name, "not_named")]
    monkeypatch.setattr(code, "installed", lambda: entries)
    before = code.made_with([config])
    assert f"scores {name}" in before and "scores not_named" not in before
    part.write_text("class Window: width = 3")
    assert code.made_with([config])[f"scores {name}"] != before[f"scores {name}"]
