import threading

import pytest

from attncompare.wandb_logging.wandb_calls import within


def test_calls_share_a_thread_and_give_what_their_work_gives():
    first, second = (within(5, threading.get_ident) for _ in range(2))
    assert first == second != threading.get_ident()
    with pytest.raises(KeyError, match="what"):
        within(5, lambda: {}["what"])
    assert within(5, threading.get_ident) == first


def test_a_call_that_hangs_is_left_behind_and_the_next_one_has_another_thread():
    release, hung = threading.Event(), []

    def hang():
        hung.append(threading.get_ident())
        release.wait()

    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        within(0.05, hang)
    assert within(5, threading.get_ident) != hung[0]
    release.set()
