import pytest

from attncompare.bench.contender import Contender, LeftOut
from attncompare.bench.options import Length
from attncompare.bench.rounds import measure

SHORT = Length(rounds=4, seconds=0.0, sample_seconds=0.0)


def noting(name, calls):
    return Contender(name, lambda: lambda: calls.append(name))


def test_contenders_take_turns_and_each_begins_a_round():
    calls = []
    found = measure([noting(name, calls) for name in "abc"], SHORT)
    assert calls[:6] == ["a", "a", "b", "b", "c", "c"]  # first call and warm-up
    assert "".join(calls[6:]) == "abc" + "bca" + "cab" + "abc"
    assert list(found.timed) == ["a", "b", "c"]
    assert all(len(one.seconds) == 4 and min(one.seconds) > 0 for one in found.timed.values())


def test_fast_contenders_are_called_often_for_one_sample():
    calls = []
    measure([noting("a", calls)], Length(rounds=1, seconds=0.0, sample_seconds=0.001))
    assert len(calls) > 3


@pytest.mark.parametrize("when", ["prepare", "call"])
def test_a_contender_that_cannot_is_left_out_with_its_reason(when):
    def fails():
        raise LeftOut("no such library: pip install it")

    calls = []
    bad = Contender("bad", fails if when == "prepare" else lambda: fails)
    found = measure([bad, noting("good", calls)], SHORT)
    assert found.left_out == {"bad": "no such library: pip install it"}
    assert list(found.timed) == ["good"]


def test_other_errors_are_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        measure([Contender("bad", lambda: lambda: 1 / 0)], SHORT)


def test_waits_for_the_device_before_and_after_every_sample():
    events = []
    contender = Contender("a", lambda: lambda: events.append("work"))
    measure([contender], Length(rounds=1, seconds=0.0, sample_seconds=0.0), lambda: events.append("wait"))
    assert events == ["wait", "work", "wait"] * 3
