"""The board: what a person reads while many runs train."""

import io

import pytest
from rich.console import Console

from attncompare.sweep import progress_board
from attncompare.sweep.progress_board import ProgressBoard
from attncompare.training.progress import Progress


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress_board, "time", clock)
    return clock


def board_of(count, at_a_time, **console):
    output = io.StringIO()
    return ProgressBoard([f"run {n}" for n in range(count)], Console(file=output, **console), at_a_time), output


def train(board, clock, number, seconds, steps=10):
    board.update(number, Progress("preparing data", 0, steps))
    for step in range(1, steps + 1):
        clock.now += seconds / steps
        board.update(number, Progress("training", step, steps, 1.0))


def last(output):
    return output.getvalue().splitlines()[-1]


def test_time_left_counts_the_runs_that_wait(clock):
    board, output = board_of(4, at_a_time=1)
    train(board, clock, 0, 60)
    board.finish(0, "finished")
    assert last(output) == "run 0: finished after 60 s (1 of 4 done, 3 waiting, about 3 min left)"


def test_several_at_a_time_take_their_share(clock):
    board, output = board_of(6, at_a_time=2)
    for number in (0, 1):
        train(board, clock, number, 100)
        board.finish(number, "finished")
    assert last(output).endswith("(2 of 6 done, 4 waiting, about 3 min left)")  # two by two, 100 s each


def test_time_left_of_a_run_that_goes_on_counts_its_own_steps_alone(clock):
    board, _ = board_of(1, at_a_time=1)
    board.update(0, Progress("training", 900, 1000))
    clock.now += 10
    board.update(0, Progress("training", 910, 1000))
    assert board._rows[0].left == pytest.approx(90)


def test_nothing_is_promised_before_anything_is_known(clock):
    board, _ = board_of(2, at_a_time=2)
    board.update(0, Progress("preparing data", 0, 10))
    assert board._summary() == "0 of 2 done, 1 training, 1 waiting"


def test_a_failed_run_is_counted_and_gives_no_pace(clock):
    board, output = board_of(3, at_a_time=1)
    train(board, clock, 0, 100)
    board.finish(0, "finished")
    board.update(1, Progress("preparing data", 0, 10))
    board.finish(1, "failed (SIGKILL: the system may have run out of memory)")
    assert last(output).endswith("(2 of 3 done, 1 failed, 1 waiting, about 2 min left)")


def test_a_table_that_does_not_fit_shows_what_goes_on_and_what_went_wrong(clock):
    board, output = board_of(60, at_a_time=2, force_terminal=True, width=120, height=20)
    train(board, clock, 0, 60)
    board.finish(0, "finished")
    board.finish(1, "failed")
    train(board, clock, 2, 30)
    board._console.print(board._shown())
    shown = output.getvalue()
    assert "run 1 " in shown and "run 2 " in shown
    assert "run 0 " not in shown and "run 59" not in shown
    assert "2 of 60 done, 1 failed, 1 training, 57 waiting" in shown
