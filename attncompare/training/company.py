"""What the one process that keeps the record of a run needs of the others, where several share each batch."""

from typing import Any, Protocol


class Company(Protocol):
    """The other processes, where several share each batch (:class:`attncompare.training.processes_others.Others`)."""

    def random_states(self, step: int) -> list[dict[str, Any]]:
        """Return the random states of each after ``step``; they wait then."""

    def go_on(self, over: bool) -> None:
        """Let them train on, or end if it is ``over``."""

    def check(self) -> None:
        """Raise RunFailed if one is gone."""
