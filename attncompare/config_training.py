"""The schema of ``optimizer`` and ``trainer``: how a model is trained, for how long, and on what."""

from typing import Literal

from attncompare.config_values import (
    NotNegative,
    NotNegativeFloat,
    Positive,
    PositiveFloat,
    PositiveFloatOrNull,
    PositiveOrNull,
    Probability,
    Share,
    Strict,
)


class OptimizerConfig(Strict):
    """``optimizer=adamw`` (Loshchilov and Hutter 2019) with its learning-rate schedule."""

    name: Literal["adamw"]
    lr: PositiveFloat
    betas: tuple[Probability, Probability]
    weight_decay: NotNegativeFloat
    clip_norm: PositiveFloatOrNull
    schedule: Literal["constant", "cosine", "linear", "inverse_sqrt"]
    warmup_steps: NotNegative
    min_lr_ratio: Share


class TrainerConfig(Strict):
    """``trainer``: the budget and the machine."""

    max_steps: Positive
    validate_every: Positive
    log_every: Positive
    accumulate: Positive
    limit_batches: PositiveOrNull
    accelerator: Literal["auto", "cpu", "gpu"]
    precision: Literal["32-true", "bf16-mixed"]
    threads: PositiveOrNull
    devices: Positive
    deterministic: bool
