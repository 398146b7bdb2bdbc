"""Shows on the console where one or many runs stand."""

import time
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from attncompare.tracking.progress import Progress

_LINES = 4  # without a terminal: how many lines of training progress a run prints


@dataclass
class _Row:
    label: str
    progress: Progress | None = None
    state: str = "waiting"
    started: float = 0.0
    ended: float = 0.0
    told: tuple[str, int] = field(default=("", -1))

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started if self.started else 0.0


class ProgressBoard:
    """A live table in a terminal; elsewhere a line whenever something worth telling happens.

    Args:
        labels: one for each run.
        console: where to show it.
    """

    def __init__(self, labels: list[str], console: Console) -> None:
        self._rows = [_Row(label) for label in labels]
        self._console = console
        live = Live(console=console, get_renderable=self._table, refresh_per_second=4)
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
        tenth = _LINES * progress.step // progress.max_steps
        if not self._live and (progress.phase, tenth) != row.told and progress.phase != "validating":
            row.told = (progress.phase, tenth)
            loss = "" if progress.loss is None else f", loss {progress.loss:.3f}"
            steps = f" step {progress.step}/{progress.max_steps}" if progress.step else ""
            self._console.print(f"{row.label}: {progress.phase}{steps}{loss}", highlight=False, soft_wrap=True)

    def finish(self, number: int, state: str) -> None:
        """Show that run ``number`` ended as ``state``."""
        row = self._rows[number]
        row.state, row.ended = state, time.monotonic()
        if not self._live:
            self._console.print(f"{row.label}: {state} after {row.seconds:.0f} s", highlight=False, soft_wrap=True)

    def print(self, text: str) -> None:
        """Print a message above the table."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 1), show_header=False)
        for row in self._rows:
            progress = row.progress
            done, total = (progress.step, progress.max_steps) if progress else (0, 1)
            loss = f"loss {progress.loss:.3f}" if progress and progress.loss is not None else ""
            steps = f"{done}/{total}" if progress else ""
            bar = ProgressBar(total=total, completed=total if row.state == "finished" else done, width=20)
            time_spent = f"{row.seconds:.0f} s" if row.started else ""
            table.add_row(row.label, bar, steps, loss, row.state, time_spent)
        return table
