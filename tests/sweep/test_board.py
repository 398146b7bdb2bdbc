"""What a person reads while many runs train: plain lines without a terminal, one table in a terminal."""

import io

import pytest
from rich.console import Console

from attncompare.sweep.progress_board import ProgressBoard
from attncompare.text import duration
from attncompare.training import Progress


def board_of(count, **console):
    output = io.StringIO()
    return ProgressBoard([f"[run] {n}" for n in range(count)], Console(file=output, **console)), output


def train(board, number, steps=10):
    board.update(number, Progress("preparing data", 0, steps))
    for step in range(1, steps + 1):
        board.update(number, Progress("training", step, steps, 1.0))


def test_without_a_terminal_a_few_lines_for_each_run():
    board, output = board_of(3)
    with board:
        train(board, 0, 1000)
        board.finish(0, "finished")
        train(board, 1)
        board.finish(1, "failed")
    lines = output.getvalue().splitlines()
    assert lines[0] == "[run] 0: preparing data"
    assert "[run] 0: training step 500/1000, loss 1.000" in lines and len(lines) < 16
    assert [line for line in lines if "finished after 0 s" in line and "1 of 3 runs done" in line]
    assert lines[-1].startswith("[run] 1: failed after 0 s (2 of 3 runs done, 1 not finished")


def test_in_a_terminal_a_table_of_what_goes_on_and_what_failed():
    board, output = board_of(60, force_terminal=True, width=120, height=20)
    with board:
        for number, state in ((0, "finished"), (1, "failed"), (2, None)):
            train(board, number)
            if state:
                board.finish(number, state)
        output.truncate(0)
        board._table.refresh()
        shown = output.getvalue()
    assert "[run] 1 " in shown and "[run] 2 " in shown and "all runs" in shown
    assert "[run] 0 " not in shown and "[run] 59" not in shown
    assert "2 of 60 runs done, 1 not finished" in shown


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_a_narrow_terminal_cuts_no_label_and_no_count_of_steps(width):
    label = "translation multihead heads=12 s 1"
    output = io.StringIO()
    board = ProgressBoard([label, "short"], Console(file=output, force_terminal=True, color_system=None, width=width))
    with board:
        for number in (0, 1):
            board.update(number, Progress("training", 200, 12000, 1.0))
        output.truncate(0)
        board._table.refresh()
        shown = output.getvalue()
    assert label in shown
    assert ("200/12000" in shown) == (width > 40) and ("training, loss 1.000" in shown) == (width >= 80)


def test_durations_as_people_say_them():
    assert [duration(seconds) for seconds in (4.4, 99, 100, 7200)] == ["4 s", "99 s", "2 min", "2.0 h"]
