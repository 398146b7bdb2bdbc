"""Learning-rate schedules: the factor on ``optimizer.lr`` at each step, a pure function of the step."""

import math

from attncompare.config import OptimizerConfig


def lr_factor(step: int, config: OptimizerConfig, max_steps: int) -> float:
    """Return the factor for optimizer step ``step`` (from 0): linear warm-up to 1, then the schedule.

    - ``constant``: 1.
    - ``linear``, ``cosine`` (Loshchilov and Hutter 2017): down to ``min_lr_ratio`` at the last step.
    - ``inverse_sqrt``: sqrt(warmup_steps / step) (Vaswani et al. 2017, equation 3).
    """
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    done = min(1.0, (step - config.warmup_steps) / max(1, max_steps - 1 - config.warmup_steps))
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
