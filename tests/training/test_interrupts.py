"""Ctrl-C and SIGTERM: the first ends a run, further ones do nothing until its record is closed."""

import importlib
import os
import signal
import threading
import time

import pytest

from attncompare.training.interrupts import first_interrupt_for_good, on_interrupt, stoppable


def press(number=signal.SIGINT):
    """Press Ctrl-C, or send another signal, and tell whether it was an exception."""
    try:
        os.kill(os.getpid(), number)
    except KeyboardInterrupt:
        return "raised"
    return "ignored"


@pytest.fixture(autouse=True)
def usual_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler), signal.getsignal(signal.SIGTERM)
    yield
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(number, handler)


def test_the_first_is_an_exception_and_further_ones_are_ignored_until_the_end():
    with stoppable():
        assert [press(), press(), press()] == ["raised", "ignored", "ignored"]
    assert press() == "raised"


def test_a_library_that_ignores_them_for_a_while_changes_nothing():
    with stoppable():
        assert press() == "raised"
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert press() == "ignored"
        signal.signal(signal.SIGINT, handler)
        assert press() == "ignored"


def test_nested_ones_count_as_one():
    with stoppable():
        with stoppable():
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
    with stoppable(), on_interrupt(lambda *_: pytest.fail("it was heard")):
        assert press() == "ignored"
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_sigterm_of_a_scheduler_counts_as_ctrl_c_and_is_named():
    before = signal.getsignal(signal.SIGTERM)
    with stoppable() as stop:
        assert [press(signal.SIGTERM), press(signal.SIGTERM), press()] == ["raised", "ignored", "ignored"]
        assert stop.reason == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) is before


SWALLOWS = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass
except BaseException:
    pass
"""


def test_during_an_import_it_waits_for_the_end_whatever_the_module_swallows(tmp_path, monkeypatch):
    (tmp_path / "swallows_interrupts.py").write_text(SWALLOWS)
    monkeypatch.syspath_prepend(tmp_path)
    with stoppable(), pytest.raises(KeyboardInterrupt):
        importlib.import_module("swallows_interrupts")
        time.sleep(10)


def test_deferred_it_waits_until_it_is_asked_for():
    with stoppable() as stop:
        with stop.deferred():
            stop.check()
            assert press() == "ignored"
            with pytest.raises(KeyboardInterrupt):
                stop.check()
        assert stop.reason == "Ctrl-C"


def test_a_handler_that_a_library_put_in_front_is_replaced_again():
    with stoppable() as stop:
        signal.signal(signal.SIGTERM, lambda *_: pytest.fail("it was heard"))
        stop.listen()
        assert press(signal.SIGTERM) == "raised"


def test_outside_the_main_thread_no_handler_is_touched():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with stoppable() as stop:
            stop.listen()
            seen.append((stop.reason, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, before)]
