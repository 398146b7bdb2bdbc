"""Each peak is measured in a process of its own, as the benchmarks do."""

import sys
from pathlib import Path

import pytest

from attncompare.bench.contender import Contender, LeftOut
from attncompare.bench.memory import peak_extra_bytes

MEBIBYTE = 2**20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from Linux's /proc")


def filling(mebibytes, times=1):
    """A contender that holds ``mebibytes`` of its own for a moment, so many times one after the other."""

    def prepare():
        kept = b"\1" * (8 * MEBIBYTE)  # what is prepared does not count

        def work():
            for _ in range(times):
                bytearray(kept[:1]) * (mebibytes * MEBIBYTE)

        return work

    return Contender("filling", prepare)


def refusing():
    def prepare():
        raise LeftOut("not on this machine")

    return Contender("refusing", prepare)


def failing():
    return Contender("failing", lambda: lambda: 1 / 0)


@pytest.fixture(autouse=True)
def found_by_the_child(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.mark.parametrize("mebibytes", [4, 64])
def test_the_peak_is_what_one_call_holds_at_once(mebibytes):
    found = peak_extra_bytes("test_peak_memory:filling", {"mebibytes": mebibytes, "times": 3}, {"mebibytes": 1})
    assert abs(found - mebibytes * MEBIBYTE) < MEBIBYTE / 2  # the system counts pages in batches


def growing():
    """A contender whose first call keeps 32 MiB, as one that compiles."""
    kept = []
    return Contender("growing", lambda: lambda: kept or kept.append(bytearray(b"\1") * (32 * MEBIBYTE)))


def test_a_first_call_counts_only_where_none_of_the_same_work_came_before():
    first = peak_extra_bytes("test_peak_memory:growing", {}, {})
    later = peak_extra_bytes("test_peak_memory:growing", {}, None)
    assert first > 31 * MEBIBYTE
    assert later < MEBIBYTE


def test_what_cannot_be_measured_says_why():
    with pytest.raises(LeftOut, match="not on this machine"):
        peak_extra_bytes("test_peak_memory:refusing", {}, {})
    with pytest.raises(LeftOut, match="ZeroDivisionError: division by zero"):
        peak_extra_bytes("test_peak_memory:failing", {}, {})
