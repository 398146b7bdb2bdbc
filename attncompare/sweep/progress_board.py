"""How far one or many runs are, and how long it will take: one table in a terminal, plain lines elsewhere."""

import time
from itertools import accumulate

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from attncompare.text import counted, duration, printable
from attncompare.training.progress import Lines
from attncompare.training.progress import Progress as Stand


class ProgressBoard:
    """Shows runs that train at the same time or one after another, each under its label."""

    def __init__(self, labels: list[str], console: Console) -> None:
        self._labels, self._console = [printable(label) for label in labels], console
        longest = max([len("all runs"), *map(cell_len, self._labels)])
        name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, min_width=longest))
        # In a narrow terminal the last ones are left out, so that no label is cut as long as it fits alone.
        others = {
            TextColumn("{task.fields[steps]}", justify="right", table_column=Column(no_wrap=True, min_width=11)): 11,
            TextColumn("{task.fields[state]}", markup=False): 24,
            TimeRemainingColumn(elapsed_when_finished=True): 8,
            BarColumn(bar_width=20): 20,
        }
        ends = accumulate((width + 1 for width in others.values()), initial=longest)
        columns = (name, *(one for one, end in zip(others, list(ends)[1:], strict=True) if end <= console.width))
        self._table = Progress(*columns, console=console, speed_estimate_period=600)
        self._all = self._table.add_task("all runs", total=len(labels), steps="", state="", visible=len(labels) > 1)
        self._rows: dict[int, TaskID] = {}
        self._began: dict[int, float] = {}
        self._ended: dict[int, str] = {}
        self._shares = [0.0] * len(labels)
        self._lines = [Lines(label, self.print) for label in self._labels]

    def __enter__(self) -> "ProgressBoard":
        if self._console.is_terminal:
            self._table.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._table.stop()

    def update(self, number: int, stand: Stand) -> None:
        """Show where run ``number`` stands."""
        if number not in self._rows:
            self._rows[number] = self._table.add_task(self._labels[number], total=1.0, steps="", state="")
            self._began[number] = time.monotonic()
        told = "" if stand.loss is None else f", loss {stand.loss:.3f}"
        steps = f"{stand.step}/{stand.max_steps}" if stand.step else ""
        self._table.update(self._rows[number], completed=stand.done, steps=steps, state=f"{stand.phase}{told}")
        self._shares[number] = stand.done
        self._table.update(self._all, completed=sum(self._shares), state=self.summary())
        if not self._console.is_terminal:
            self._lines[number](stand)

    def finish(self, number: int, state: str) -> None:
        """Show that run ``number`` ended as ``state``; in the table only those stay that did not finish."""
        self._ended[number], self._shares[number] = state, 1.0
        if number in self._rows:
            self._table.update(self._rows[number], state=state, visible=state != "finished")
            self._table.stop_task(self._rows[number])
        self._table.update(self._all, completed=sum(self._shares), state=self.summary())
        if not self._console.is_terminal:
            spent = duration(time.monotonic() - self._began.get(number, time.monotonic()))
            of_all = f" ({self.summary()})" if len(self._labels) > 1 else ""
            self.print(f"{self._labels[number]}: {state} after {spent}{of_all}")

    def print(self, text: str) -> None:
        """Print a message above the table."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def summary(self) -> str:
        """Return how many runs have ended, how many of them did not finish, and how long the rest will take."""
        ended = f"{len(self._ended)} of {counted(len(self._labels), 'run')} done"
        bad = sum(state != "finished" for state in self._ended.values())
        left = self._table.tasks[0].time_remaining if len(self._ended) < len(self._labels) else None
        more = [f"{bad} not finished" if bad else "", f"about {duration(left)} left" if left else ""]
        return ", ".join(filter(None, [ended, *more]))
