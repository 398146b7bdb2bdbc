"""Ctrl-C: the first ends a run, the others do nothing until its record is closed."""

import os
import signal

import pytest

from attncompare.tracking.interrupts import first_interrupt_for_good, first_interrupt_only, on_interrupt


def press():
    """Press Ctrl-C, and tell whether it was an exception."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        return "raised"
    return "ignored"


@pytest.fixture(autouse=True)
def usual_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_is_an_exception_and_the_others_are_ignored_until_the_end():
    with first_interrupt_only():
        assert [press(), press(), press()] == ["raised", "ignored", "ignored"]
    assert press() == "raised"


def test_a_library_that_ignores_them_for_a_while_changes_nothing():
    with first_interrupt_only():
        assert press() == "raised"
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert press() == "ignored"
        signal.signal(signal.SIGINT, handler)
        assert press() == "ignored"


def test_nested_ones_count_as_one():
    with first_interrupt_only():
        with first_interrupt_only():
            assert press() == "raised"
        assert press() == "ignored"


def test_an_action_instead_of_an_exception_counts_as_the_first():
    first_interrupt_for_good()
    heard = []
    with on_interrupt(lambda number, _: heard.append(number)):
        assert [press(), press()] == ["ignored", "ignored"]
    assert heard == [signal.SIGINT] * 2
    assert press() == "ignored"


def test_what_was_switched_off_from_outside_stays_off():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    first_interrupt_for_good()
    with first_interrupt_only(), on_interrupt(lambda *_: pytest.fail("it was heard")):
        assert press() == "ignored"
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
