"""Encoded text in the cache: made once, found by every later run, and made anew where it is damaged."""

import json
import logging

import numpy as np
import pytest

from attncompare.data.token_arrays import in_cache, in_memory

PARTS = [
    {"ids": np.array([], dtype=np.uint16), "ends": np.array([], dtype=np.int64)},
    {"ids": np.array([5, 6, 7], dtype=np.uint16), "ends": np.array([2, 3], dtype=np.int64)},
    {"ids": np.array([65535], dtype=np.uint16), "ends": np.array([4], dtype=np.int64)},
]


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        assert one[name].tolist() == other[name].tolist()


def never():
    raise AssertionError("it was there already")


def test_what_is_kept_is_what_was_made_and_it_is_made_once(tmp_path):
    folder = tmp_path / "cache" / "name"
    same(in_cache(folder, lambda: iter(PARTS)), in_memory(PARTS))
    found = in_cache(folder, never)
    same(found, in_memory(PARTS))
    assert isinstance(found["ids"].base, np.memmap) and not found["ids"].flags.writeable
    assert [file.name for file in folder.parent.iterdir()] == ["name"]


def test_nothing_at_all_can_be_kept_too(tmp_path):
    same(in_cache(tmp_path / "name", lambda: PARTS[:1]), in_memory(PARTS[:1]))


def shorter(folder):
    (folder / "ids").write_bytes((folder / "ids").read_bytes()[:-2])


def another_number(folder):
    content = bytearray((folder / "ids").read_bytes())
    content[0] ^= 1
    (folder / "ids").write_bytes(content)


def another_header(folder):
    header = json.loads((folder / "header.json").read_text())
    header["arrays"] = header["arrays"].replace("<u2", "<i2")
    (folder / "header.json").write_text(json.dumps(header))


DAMAGE = {
    "an array cut short": shorter,
    "an array gone": lambda folder: (folder / "ends").unlink(),
    "a bit in an array": another_number,
    "another type in the header": another_header,
    "half a header": lambda folder: (folder / "header.json").write_text("{"),
    "an empty header": lambda folder: (folder / "header.json").write_bytes(b""),
    "a header of another kind": lambda folder: (folder / "header.json").write_text("[1]"),
    "a header that is no text": lambda folder: (folder / "header.json").write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_made_anew_with_a_warning(damage, tmp_path, caplog):
    folder = tmp_path / "name"
    in_cache(folder, lambda: PARTS)
    DAMAGE[damage](folder)
    with caplog.at_level(logging.WARNING, "attncompare"):
        same(in_cache(folder, lambda: PARTS), in_memory(PARTS))
    assert "is damaged" in caplog.text and "made anew" in caplog.text
    same(in_cache(folder, never), in_memory(PARTS))
    assert [file.name for file in tmp_path.iterdir()] == ["name"]


def test_what_fails_halfway_leaves_nothing(tmp_path):
    def failing():
        yield PARTS[0]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        in_cache(tmp_path / "name", failing)
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_make_it_at_once_the_first_to_end_is_kept(tmp_path):
    folder = tmp_path / "name"

    def slow():
        yield PARTS[0]
        in_cache(folder, lambda: PARTS)
        yield from PARTS[1:]

    same(in_cache(folder, slow), in_memory(PARTS))
    assert [file.name for file in tmp_path.iterdir()] == ["name"]
