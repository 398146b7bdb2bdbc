"""Learning-rate schedules: the factor on ``optimizer.lr`` at each step, a pure function of the step."""

import math
from dataclasses import dataclass

from attncompare.config import OptimizerConfig


@dataclass(frozen=True)
class Plan:
    """How many steps a run with a time budget has, known only some way into it.

    Attributes:
        after: the step after which it was known: the schedule of the steps beyond goes by it.
        steps: of the whole run.
    """

    after: int
    steps: int


def lr_factor(step: int, config: OptimizerConfig, steps: int | None) -> float:
    """Return the factor for optimizer step ``step`` (from 0): linear warm-up to 1, then the schedule.

    - ``constant``: 1.
    - ``linear``, ``cosine`` (Loshchilov and Hutter 2017): down to ``min_lr_ratio`` at the last step.
    - ``inverse_sqrt``: sqrt(warmup_steps / step) (Vaswani et al. 2017, equation 3).

    Args:
        step: from 0.
        config: of the schedule.
        steps: how many the run has; None: not known yet, so that ``linear`` and ``cosine`` stay at 1 after the warm-up.
    """
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    done = 0.0 if steps is None else min(1.0, (step - config.warmup_steps) / max(1, steps - 1 - config.warmup_steps))
    span = 1 - config.min_lr_ratio
    match config.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1 - span * done
        case "cosine":
            return config.min_lr_ratio + span * (1 + math.cos(math.pi * done)) / 2
        case "inverse_sqrt":
            return math.sqrt(max(1, config.warmup_steps) / max(1, step))
