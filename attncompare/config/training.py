"""The schema of ``optimizer`` and ``trainer``: how a model is trained, for how long, and on what."""

from typing import Literal

from pydantic import model_validator

from attncompare.config.values import (
    NotNegative,
    NotNegativeFloat,
    Positive,
    PositiveFloat,
    PositiveFloatOrNull,
    PositiveOrNull,
    Probability,
    SecondsOrNull,
    Share,
    Strict,
)


class OptimizerConfig(Strict):
    """``optimizer=adamw`` (Loshchilov and Hutter 2019) with its learning-rate schedule."""

    name: Literal["adamw"]
    lr: PositiveFloat
    betas: tuple[Probability, Probability]
    eps: PositiveFloat
    weight_decay: NotNegativeFloat
    decay_embeddings: bool
    clip_norm: PositiveFloatOrNull
    schedule: Literal["constant", "cosine", "linear", "inverse_sqrt"]
    warmup_steps: NotNegative
    min_lr_ratio: Share


class TrainerConfig(Strict):
    """``trainer``: the budget and the machine."""

    max_steps: Positive
    max_time: SecondsOrNull
    patience: PositiveOrNull
    average_last: PositiveOrNull
    validate_every: Positive
    log_every: Positive
    accumulate: Positive
    limit_batches: PositiveOrNull
    accelerator: Literal["auto", "cpu", "gpu"]
    precision: Literal["32-true", "bf16-mixed"]
    threads: PositiveOrNull
    devices: Positive
    deterministic: bool
    compile: bool

    @model_validator(mode="after")
    def _one_clock(self) -> "TrainerConfig":
        if self.max_time is not None and self.devices > 1:
            raise ValueError(
                f"max_time={self.max_time:g} with devices={self.devices}: processes that share a batch have no common "
                "clock; leave max_time out, or set devices=1"
            )
        return self

    @model_validator(mode="after")
    def _one_process_compiles(self) -> "TrainerConfig":
        if self.compile and self.devices > 1:
            raise ValueError(f"compile=true with devices={self.devices}: only for one process; set devices=1")
        return self
