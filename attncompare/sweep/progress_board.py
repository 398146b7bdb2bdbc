"""Shows on the console where one or many runs stand, and how long it will take."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from attncompare.errors import Refused
from attncompare.training.progress import Progress
from attncompare.record import how_to_resume
from attncompare.text import printable

_LINES = 4  # without a terminal: how many lines of training progress a run prints
_ROOM = 6  # lines of a terminal that are left for other things
_WIDE = 100  # columns of a terminal that has room for bars


@dataclass
class _Row:
    label: str
    progress: Progress | None = None
    state: str = "waiting"
    started: float = 0.0
    ended: float = 0.0
    first: tuple[float, int] | None = None  # when the first step was reported, and which
    told: tuple[str, int] = field(default=("", -1))

    @property
    def running(self) -> bool:
        return bool(self.started) and not self.ended

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started if self.started else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until its training ends at the pace so far; None where that cannot be said."""
        if self.progress is None or self.first is None or not self.running or self.progress.step <= self.first[1]:
            return None
        pace = (time.monotonic() - self.first[0]) / (self.progress.step - self.first[1])
        return pace * (self.progress.max_steps - self.progress.step)


class ProgressBoard:
    """A live table in a terminal; elsewhere a line whenever something worth telling happens.

    Args:
        labels: one for each run.
        console: where to show it.
        at_a_time: how many runs train at the same time.
    """

    def __init__(self, labels: list[str], console: Console, at_a_time: int = 1) -> None:
        self._rows = [_Row(printable(label)) for label in labels]
        self._console, self._at_a_time = console, at_a_time
        live = Live(console=console, get_renderable=self._shown, refresh_per_second=4)
        self._live = live if console.is_terminal else None

    def __enter__(self) -> "ProgressBoard":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def update(self, number: int, progress: Progress) -> None:
        """Show that run ``number`` stands at ``progress``."""
        row = self._rows[number]
        row.started = row.started or time.monotonic()
        row.progress, row.state = progress, progress.phase
        if progress.step and row.first is None:
            row.first = (time.monotonic(), progress.step)
        tenth = _LINES * progress.step // progress.max_steps
        if not self._live and (progress.phase, tenth) != row.told and progress.phase != "validating":
            row.told = (progress.phase, tenth)
            loss = "" if progress.loss is None else f", loss {progress.loss:.3f}"
            steps = f" step {progress.step}/{progress.max_steps}" if progress.step else ""
            self.print(f"{row.label}: {progress.phase}{steps}{loss}")

    def finish(self, number: int, state: str) -> None:
        """Show that run ``number`` ended as ``state``."""
        row = self._rows[number]
        row.state, row.ended = state, time.monotonic()
        row.started = row.started or row.ended
        if not self._live:
            of_all = f" ({self._summary()})" if len(self._rows) > 1 else ""
            self.print(f"{row.label}: {state} after {_duration(row.seconds)}{of_all}")

    def print(self, text: str) -> None:
        """Print a message above the table."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _shown(self) -> Group:
        rows = self._rows
        if len(rows) > self._console.height - _ROOM:  # what goes on, and what went wrong
            rows = [row for row in rows if row.running or row.state not in ("waiting", "finished")]
            rows = rows[-max(1, self._console.height - _ROOM) :]
        return Group(_table(rows, self._console.width), *([Text(self._summary())] if len(self._rows) > 1 else []))

    def _summary(self) -> str:
        """Return how many runs are in which state, and how long all of it will take."""
        ended = sum(bool(row.ended) for row in self._rows)
        counts = Counter("training" if row.running else row.state.partition(" (")[0] for row in self._rows)
        states = [f"{ended} of {len(self._rows)} done"]
        states += [f"{count} {state}" for state, count in sorted(counts.items()) if state != "finished"]
        left = self._left()
        return ", ".join(states) + (f", about {_duration(left)} left" if left else "")

    def _left(self) -> float | None:
        """Return the seconds until all runs have ended, if those that wait take as long as those that ran."""
        lefts = [row.left for row in self._rows if row.running]
        known = [left for left in lefts if left is not None]
        waiting = sum(row.state == "waiting" for row in self._rows)
        if len(known) < len(lefts) or not (known or waiting):
            return None
        whole = [row.seconds for row in self._rows if row.ended and not row.state.startswith("failed")]
        whole = whole or [row.seconds + (row.left or 0.0) for row in self._rows if row.running]
        if waiting and not whole:
            return None
        queue = waiting * sum(whole) / len(whole) if waiting else 0.0
        return max([*known, (sum(known) + queue) / self._at_a_time])


def _table(rows: list[_Row], width: int) -> Table:
    table = Table(box=None, padding=(0, 1), show_header=False)
    wide = width >= _WIDE
    for _ in range(6 if wide else 5):
        table.add_column(no_wrap=True)
    for row in rows:
        progress = row.progress
        done, total = (progress.step, progress.max_steps) if progress else (0, 1)
        loss = f"loss {progress.loss:.3f}" if progress and progress.loss is not None else ""
        bar = [ProgressBar(total=total, completed=total if row.state == "finished" else done, width=20)] if wide else []
        spent = _duration(row.seconds) if row.started else ""
        takes = f"{_duration(row.left)} left" if row.left else spent
        state = Text(row.state.partition(" (")[0])  # why it failed was printed above
        table.add_row(Text(row.label), *bar, f"{done}/{total}" if progress else "", loss, state, takes)
    return table


def _duration(seconds: float) -> str:
    """Return a number of seconds as people say it: "45 s", "12 min", "3.5 h"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def boarded(label: str, work: Callable[..., Any], folder: Path | None) -> Any:
    """Return what ``work`` returns, while a board on standard error shows how its one run goes.

    Args:
        label: of the run.
        work: called with ``on_progress``, ``on_folder`` and ``on_message``, as :func:`attncompare.training.run.train` takes them.
        folder: the run's folder where it has one already.
    """

    def on_folder(made: Path) -> None:
        nonlocal folder
        folder = made
        board.print(f"recording in {made}")

    with ProgressBoard([label], Console(stderr=True)) as board:
        try:
            result = work(
                on_progress=lambda progress: board.update(0, progress), on_folder=on_folder, on_message=board.print
            )
        except Refused:
            raise  # nothing was started that could have ended
        except KeyboardInterrupt:
            board.finish(0, "interrupted")
            if folder:
                board.print(how_to_resume(folder))
            raise
        except Exception:
            board.finish(0, "failed")
            raise
        board.finish(0, "finished")
        return result
