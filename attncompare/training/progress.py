"""What a run says of itself while it goes on, to whoever shows it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a run stands: ``phase`` in words, optimizer step, and the newest training loss."""

    phase: str
    step: int
    max_steps: int
    loss: float | None = None


OnProgress = Callable[[Progress], None]
