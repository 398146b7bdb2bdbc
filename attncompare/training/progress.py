"""What a run says of itself while it goes on, and the plain lines that tell it where no terminal shows a bar."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from attncompare.text import duration, engineering

Shown = Literal["bar", "lines"]
_QUARTERS = 4  # a line for each of so many equal parts of a training
_SECONDS = 50.0  # until the next line where a part takes longer: at least one a minute, as what is told comes late


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes:
        phase: in words.
        step: optimizer steps done.
        max_steps: the last step, as far as is known.
        loss: the newest training loss, in nats per token.
        share: of the training that is done, from 0 to 1, by whichever limit is nearer; None: that of the steps.
        val: the value of the monitored metric at the last validation as people read it, such as "val loss 2.1034".
        tokens_per_second: of the newest row of training metrics.
        seconds_left: how long training will go on at its pace so far, validations included.
    """

    phase: str
    step: int
    max_steps: int
    loss: float | None = None
    share: float | None = None
    val: str | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None

    @property
    def done(self) -> float:
        """The share that is done."""
        return self.step / max(1, self.max_steps) if self.share is None else self.share


OnProgress = Callable[[Progress], None]


def _to_standard_error(line: str) -> None:
    print(line, file=sys.stderr)


class Lines:
    """Tells progress by plain lines: for each quarter of the training, for each other phase, and once a minute.

    Args:
        label: what the run is called.
        say: what a line is given to; by default standard error.
    """

    def __init__(self, label: str, say: Callable[[str], None] = _to_standard_error) -> None:
        self._label, self._say = label, say
        self._told, self._at = ("", -1), 0.0

    def __call__(self, progress: Progress) -> None:
        """Say a line where there is something new."""
        told, now = (progress.phase, int(_QUARTERS * progress.done)), time.monotonic()
        # A validation goes unsaid unless it takes long: the line after it has its result.
        new = told != self._told and progress.phase != "validating"
        if not new and now - self._at < _SECONDS:
            return
        self._told, self._at = told, now
        parts = [f"{progress.phase} step {progress.step}/{progress.max_steps}" if progress.step else progress.phase]
        parts += [] if progress.loss is None else [f"loss {progress.loss:.3f}"]
        parts += [] if progress.val is None else [progress.val]
        parts += [] if progress.tokens_per_second is None else [f"{engineering(progress.tokens_per_second)} tokens/s"]
        parts += [] if progress.share is None else [f"{progress.share:.0%} done"]
        parts += [] if progress.seconds_left is None else [f"about {duration(progress.seconds_left)} left"]
        self._say(f"{self._label}: {', '.join(parts)}")
