"""Files of a record are read from within its folder, plain and not too large, or not at all."""

import os

import pytest

from attncompare.errors import Refused
from attncompare.record import read_inside, require_no_way_out


@pytest.fixture
def folder(tmp_path):
    """A record beside somebody's secret."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "record" / "maps").mkdir(parents=True)
    (tmp_path / "record" / "a.json").write_text("content")
    (tmp_path / "record" / "maps" / "b").write_text("below")
    return tmp_path / "record"


def test_plain_files_are_read(folder, tmp_path):
    assert read_inside(folder, "a.json") == b"content"
    assert read_inside(folder, "maps/b") == b"below"
    (tmp_path / "link").symlink_to(folder)
    assert read_inside(tmp_path / "link", "a.json") == b"content"  # how one gets to the folder is one's own affair


@pytest.mark.parametrize(
    "name", ["../secret", "maps/../../secret", "/etc/passwd", "", ".", "..", "a.json\0", "maps\\b", "a\n", "maps", "no"]
)
def test_other_places_are_refused(folder, name):
    with pytest.raises(Refused) as refusal:
        read_inside(folder, name)
    assert str(refusal.value).isprintable()


def test_links_are_refused_wherever_they_lead(folder, tmp_path):
    (folder / "outside").symlink_to(tmp_path / "secret")
    (folder / "inside").symlink_to(folder / "a.json")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "hanging").symlink_to("nothing")
    for name in ("outside", "inside", "folder/secret", "hanging"):
        with pytest.raises(Refused, match="symbolic link"):
            read_inside(folder, name)


def test_what_is_no_plain_file_is_refused_at_once(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(Refused, match="'pipe' is no plain file"):
        read_inside(folder, "pipe")


def test_the_limit_is_exact_and_both_sizes_are_said(folder):
    assert read_inside(folder, "a.json", limit=7) == b"content"
    with pytest.raises(Refused, match="7 bytes, too large; at most 6 are read"):
        read_inside(folder, "a.json", limit=6)


def test_a_folder_with_a_link_out_of_it_is_not_written_to(folder, tmp_path):
    (folder / "maps" / "latest").symlink_to("b")
    require_no_way_out(folder)
    (folder / "maps" / "out").symlink_to(tmp_path)
    with pytest.raises(Refused, match="maps/out: a symbolic link that leads out"):
        require_no_way_out(folder)
