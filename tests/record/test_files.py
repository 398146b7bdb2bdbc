"""Files are written whole or not at all, and read from within their folder, plain and not too large, or refused."""

import errno
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from attncompare.errors import Refused
from attncompare.record import create_folder, files, read_inside, require_replaceable, require_writable
from attncompare.record.files import require_no_way_out


@pytest.fixture
def folder(tmp_path):
    """A record beside somebody's secret."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "record" / "maps").mkdir(parents=True)
    (tmp_path / "record" / "a.json").write_text("content")
    (tmp_path / "record" / "maps" / "b").write_text("below")
    return tmp_path / "record"


def test_a_failed_write_leaves_what_was_there_and_names_the_file(tmp_path, monkeypatch):
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


def test_a_file_gets_its_name_only_when_its_content_is_on_the_disk(tmp_path, monkeypatch):
    path, seen = tmp_path / "a.json", []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (seen.append(path.exists()), fsync(number)))
    files.write_json(path, {"a": 1})
    assert seen == [False, True]  # the second is the folder's


def test_a_link_that_waits_under_the_temporary_name_is_not_followed(folder, tmp_path):
    (folder / ".a.json.tmp").symlink_to(tmp_path / "secret")
    files.write_text(folder / "a.json", "new")
    assert (tmp_path / "secret").read_text() == "secret" and (folder / "a.json").read_text() == "new"


def test_plain_files_are_read_up_to_the_limit(folder, tmp_path):
    assert read_inside(folder, "maps/b") == b"below"
    (tmp_path / "link").symlink_to(folder)  # how one gets to the folder is one's own affair
    assert read_inside(tmp_path / "link", "a.json", limit=7) == b"content"
    with pytest.raises(Refused, match="7 bytes, too large; at most 6"):
        read_inside(folder, "a.json", limit=6)


@pytest.mark.parametrize(
    "name", ["../secret", "maps/../../secret", "/etc/passwd", "", "..", "a.json\0", "maps\\b", "maps", "no"]
)
def test_other_places_are_refused(folder, name):
    with pytest.raises(Refused) as refusal:
        read_inside(folder, name)
    assert str(refusal.value).isprintable()


def test_links_and_pipes_are_refused_wherever_they_lead(folder, tmp_path):
    (folder / "outside").symlink_to(tmp_path / "secret")
    (folder / "inside").symlink_to(folder / "a.json")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "hanging").symlink_to("nothing")
    for name in ("outside", "inside", "folder/secret", "hanging"):
        with pytest.raises(Refused, match="symbolic link"):
            read_inside(folder, name)
    os.mkfifo(folder / "pipe")
    with pytest.raises(Refused, match="no plain file"):
        read_inside(folder, "pipe")
    for name in ("outside", "pipe", "maps"):
        with pytest.raises(Refused, match="--html x"):
            require_replaceable(folder / name, "--html x")
    require_replaceable(folder / "a.json", "--html x")


def test_a_folder_with_a_link_out_of_it_is_not_written_to(folder, tmp_path):
    (folder / "maps" / "latest").symlink_to("b")
    require_no_way_out(folder)
    (folder / "maps" / "out").symlink_to(tmp_path)
    with pytest.raises(Refused, match="maps/out: a symbolic link"):
        require_no_way_out(folder)


@pytest.fixture
def frozen_clock(monkeypatch):
    class Frozen(datetime):
        @classmethod
        def now(cls):
            return cls(2031, 2, 3, 4, 5, 6)

    monkeypatch.setattr(files, "datetime", Frozen)


def test_a_folder_is_named_by_date_time_and_what_is_trained(make_config, tmp_path, frozen_clock):
    config = make_config("attention=additive", "attention.heads=3", "seed=7")
    name = f"04-05-06-translation-additive-h3-s7-{config.hash()[:6]}"
    assert create_folder(config) == tmp_path / "runs" / "2031-02-03" / name
    assert create_folder(config, tmp_path / "sweep") == tmp_path / "sweep" / name


def test_runs_started_in_the_same_instant_get_folders_of_their_own(make_config, frozen_clock, monkeypatch):
    config = make_config()
    together, mkdir, arrived = threading.Barrier(3), Path.mkdir, threading.local()

    def mkdir_together(path, *arguments, **options):
        if "translation" in path.name and not hasattr(arrived, "once"):
            arrived.once = True
            together.wait(timeout=10)  # all three have seen that the name is free
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir_together)
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda _: create_folder(config), range(3)))
    assert len(set(made)) == 3 and all(folder.is_dir() for folder in made)


def test_a_runs_folder_that_cannot_be_written_is_refused_and_a_good_one_left_as_it_was(tmp_path):
    (tmp_path / "file").write_text("")
    for runs in (str(tmp_path / "file"), str(tmp_path / "file" / "runs"), "/proc/runs"):
        with pytest.raises(Refused, match=f"^runs={runs}: "):
            require_writable(Path(runs), f"runs={runs}")
    require_writable(tmp_path / "new" / "runs", "runs=new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
