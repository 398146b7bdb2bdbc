"""Corpora of any size are checked, read, fingerprinted and counted in bounded memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from memory_of_corpora import write_pairs

PROGRAM = Path(__file__).with_name("memory_of_corpora.py")
MB = 10**6
BY_FRACTION = ('splits={"val":null}', "val_fraction=0.01")


def growth(tmp_path, count, *changes):
    """Return by what was done the bytes of own memory that it took at most, for ``count`` pairs."""
    (tmp_path / "data").mkdir()
    write_pairs(tmp_path / "data", count)
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path / "data", tmp_path / "cache", *changes],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["growth"]


pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="how much memory is a process's own is read as Linux tells"
)


@pytest.mark.parametrize("changes", [(), BY_FRACTION], ids=["by-name", "by-fraction"])
def test_two_hundred_thousand_pairs_take_little_memory(tmp_path, changes):
    took = growth(tmp_path, 200_000, *changes)  # as Python's strings they would be 60 MB and more
    assert took["load"] < 50 * MB
    assert max(took["fingerprint"], took["overlap"], took["batches"]) < 25 * MB


@pytest.mark.long
@pytest.mark.parametrize("changes", [(), BY_FRACTION], ids=["by-name", "by-fraction"])
def test_two_million_pairs_take_little_more(tmp_path, changes):
    took = growth(tmp_path, 2_000_000, *changes)
    assert took["load"] < 150 * MB
    assert max(took["fingerprint"], took["overlap"], took["batches"]) < 25 * MB
