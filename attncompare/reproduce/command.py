"""``attncompare reproduce``: from what was typed to a verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from attncompare.config.changes import with_data
from attncompare.errors import AttnCompareError, Refused, RunFailed
from attncompare.text import counted
from attncompare.sweep.progress_board import ProgressBoard
from attncompare.reproduce.again import reproduce, train_once
from attncompare.reproduce.facts import Facts
from attncompare.reproduce.report import FORMAT, REPORT, Reproduction
from attncompare.reproduce.sources import Found, find
from attncompare.reproduce.verdict import TOLERANCE
from attncompare.reproduce.wish import Shown, Wish
from attncompare.record import write_json
from attncompare.record import new_folder, require_writable
from attncompare.text import printable


@dataclass(frozen=True)
class Board:
    """The board of the console, and its rows one by one."""

    board: ProgressBoard

    def reproduce(self, number: int, facts: Facts, wish: Wish) -> Reproduction:
        """Reproduce ``facts`` while row ``number`` shows how it goes, and in the end the verdict."""
        outcome = reproduce(facts, wish, self.shown(number))
        self.board.finish(number, outcome.comparison.verdict)
        return outcome

    def shown(self, number: int) -> Shown:
        """Return who is told of row ``number``."""
        return Shown(
            on_progress=lambda progress: self.board.update(number, progress),
            on_folder=lambda folder: self.board.print(f"recording in {folder}"),
            say=self.board.print,
        )


def run(
    record: str,
    *,
    steps: int | None = None,
    exact_code: bool = False,
    tolerance: float = TOLERANCE,
    runs: str = "runs",
    data: Sequence[str] = (),
) -> None:
    """Train again what ``record`` names, compare, and print the verdict.

    Args:
        record: as :func:`attncompare.reproduce.sources.find` takes it.
        steps: compare only that many first steps.
        exact_code: train by the code of the recorded commit.
        tolerance: relative difference up to which two metrics count as equal.
        runs: where new folders go.
        data: ``KEY=VALUE`` each, a key of the config's section ``data``: above all where its files stand here. Data with
            another fingerprint are different all the same.

    Raises:
        Refused: if there is nothing that can be trained again as asked.
        RunFailed: if training failed, or the verdict is "different".
    """
    if steps is not None and steps < 1:
        raise Refused(f"--steps {steps}: must be a positive integer")
    if not 0 <= tolerance < 1:
        raise Refused(f"--tolerance {tolerance}: must be a number from 0 to below 1")
    found = _with_data(find(record, unfinished=steps is not None), data)
    require_writable(Path(runs), f"runs={runs}")
    wish = Wish(runs, None, steps, exact_code, tolerance)
    if found.sweep:
        _sweep(record, found, wish)
    else:
        _one(record, found, wish)


def _with_data(found: Found, changes: Sequence[str]) -> Found:
    runs = [replace(facts, values=with_data(facts.values, changes)) for facts in found.runs]
    values = None if found.values is None else with_data(found.values, changes)
    return replace(found, runs=runs, values=values)


def _one(record: str, found: Found, wish: Wish) -> None:
    if found.values is None:
        (facts,) = found.runs
        outcome = _boarded([f"again {Path(facts.source).name}"], lambda board: board.reproduce(0, facts, wish))
    else:
        outcome = _boarded([f"first {record}", f"again {record}"], lambda board: _twice(record, found, wish, board))
    print(outcome)
    if outcome.folder:
        print(f"report: {outcome.folder / REPORT}")
    if outcome.comparison.verdict == "different":
        raise RunFailed(f"{record} was not reproduced")


def _twice(record: str, found: Found, wish: Wish, board: Board) -> Reproduction:
    """Train a config of which nothing was recorded, and then again."""
    if wish.exact_code:
        raise Refused(f"{record}: --exact-code: the record names no commit of the code")
    assert found.values is not None
    board.board.print(f"{record}: nothing was recorded beside it, so it is trained twice here and the two are compared")
    first = train_once(found.values, wish, board.shown(0), record)
    stopped = f"stopped as asked (step {wish.steps})"
    board.board.finish(0, stopped if first.state == "interrupted" else first.state)
    return board.reproduce(1, first, wish)


def _sweep(record: str, found: Found, wish: Wish) -> None:
    now = datetime.now()
    folder = new_folder(wish.runs, Path(wish.runs) / f"{now:%Y-%m-%d}", f"{now:%H-%M-%S}-reproduction")
    wish = replace(wish, parent=folder)
    outcomes: list[tuple[Facts, Reproduction | str]] = []

    def work(board: Board) -> None:
        for number, facts in enumerate(found.runs):
            try:
                outcomes.append((facts, board.reproduce(number, facts, wish)))
            except AttnCompareError as error:
                outcomes.append((facts, str(error)))
                board.board.finish(number, "failed")
            write_json(folder / REPORT, _sweep_report(record, found, outcomes))

    _boarded([Path(facts.source).name for facts in found.runs], work)
    for facts, outcome in outcomes:
        print(printable(_sweep_line(facts, outcome)))
    for reason in found.left_out:
        print(printable(f"left out: {reason}"))
    print(f"report: {folder / REPORT}")
    lost = [outcome for _, outcome in outcomes if _verdict(outcome) in ("different", "failed")]
    if lost:
        raise RunFailed(f"{record}: {len(lost)} of {counted(len(outcomes), 'run')} could not be reproduced")


def _sweep_line(facts: Facts, outcome: Reproduction | str) -> str:
    line = f"{_verdict(outcome)}: {facts.source}"
    if isinstance(outcome, str):
        return f"{line}: {outcome}"
    first = outcome.comparison.first
    return f"{line} (first difference: {first})" if first else line


def _sweep_report(record: str, found: Found, outcomes: list[tuple[Facts, Reproduction | str]]) -> dict[str, Any]:
    verdicts = [_verdict(outcome) for _, outcome in outcomes]
    order = ("failed", "different", "equal within tolerance", "identical")
    return {
        "format": FORMAT,
        "recorded": record,
        "verdict": min(verdicts, key=order.index),
        "runs": [
            {"verdict": "failed", "recorded": facts.source, "message": outcome}
            if isinstance(outcome, str)
            else outcome.to_dict()
            for facts, outcome in outcomes
        ],
        "missing": len(found.runs) - len(outcomes),
        "left_out": list(found.left_out),
    }


def _verdict(outcome: Reproduction | str) -> str:
    return "failed" if isinstance(outcome, str) else outcome.comparison.verdict


def _boarded(labels: list[str], work: Callable[[Board], Any]) -> Any:
    """Return what ``work`` returns, while a board shows the progress of each label."""
    with ProgressBoard(labels, Console(stderr=True)) as board:
        return work(Board(board))
