"""The memory that many pairs take, beyond model and libraries; `make test-long` measures two million of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what it takes")


def measured(count, folder):
    script = Path(__file__).with_name("large_corpus.py")
    done = subprocess.run([sys.executable, script, str(count), folder], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["pairs"] == count
    return found


def test_a_hundred_thousand_pairs_take_little_memory(tmp_path):
    found = measured(100_000, tmp_path)
    assert found["megabytes"] < 150


@pytest.mark.long
def test_two_million_pairs_take_no_more_than_a_few_hundred_megabytes(tmp_path):
    found = measured(2_000_000, tmp_path)
    assert found["kept"] == 2  # source and target of train: mapped from the cache
    assert found["megabytes"] < 300
