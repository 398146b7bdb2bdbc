"""Corpora of any size are checked, read, fingerprinted, counted and encoded in bounded memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import text

PROGRAM = Path(__file__).with_name("memory_of_pairs.py")
CHANGES = {"by name": (), "by fraction": ('splits={"val":null}', "val_fraction=0.01")}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process's own memory is read as Linux tells it")


@pytest.mark.parametrize("changes", ["by name", pytest.param("by fraction", marks=pytest.mark.long)])
@pytest.mark.parametrize("count", [100_000, pytest.param(2_000_000, marks=pytest.mark.long)])
def test_many_pairs_take_little_memory(tmp_path, count, changes):
    command = [sys.executable, PROGRAM, tmp_path, str(count), *CHANGES[changes]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    took = json.loads(done.stdout)
    print(took)
    long = count > 1_000_000
    assert took["load"] < (150 if long else 25)  # as Python's strings they would be 30 MB, or 600 MB
    assert max(took["fingerprint"], took["overlap"]) < 25
    if "encoding" in took:
        assert took["encoding"] + took["batches"] < (300 if long else 150)


@pytest.mark.parametrize("kind", ["bpe", pytest.param("character", marks=pytest.mark.long)])
@pytest.mark.parametrize("ends", [pytest.param("\n", marks=pytest.mark.long), " "], ids=["lines", "one line"])
def test_a_large_text_takes_little_memory(tmp_path, kind, ends):
    took = {}
    for size in (1_000_000, 20_000_000):
        text.write_text(tmp_path / "text.txt", size, ends)
        took[size] = text.measured(tmp_path / "text.txt", kind)["bytes"]
    print(took)
    assert took[20_000_000] - took[1_000_000] < 250e6  # held whole by the library it would be 2 GB
