"""The typed schema of ``conf/``: what a run may be configured to do, and the rules between fields.

Values have their defaults in ``conf/`` alone; here stand only types, ranges and rules. :func:`parse` turns the composed
yaml into a :class:`RunConfig` or refuses it in one line that names the key, the value and what would be valid (C6).
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from attncompare.config_data import (
    PAIRS,
    TEXT,
    CorpusConfig,
    Data,
    LocaleConfig,
    PairsConfig,
    PydocsConfig,
    RecallConfig,
    ReverseConfig,
    TokenizerConfig,
)
from attncompare.config_errors import HYDRA_ERRORS, explain, explain_hydra
from attncompare.config_values import (
    AtLeastFour,
    AtLeastTwo,
    Label,
    LabelOrNull,
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
from attncompare.errors import Refused
from attncompare.registry import score_names, unknown

__all__ = [
    "CONF_DIR",
    "PAIRS",
    "TEXT",
    "AttentionConfig",
    "CorpusConfig",
    "LanguageModelConfig",
    "LocaleConfig",
    "OptimizerConfig",
    "PairsConfig",
    "PydocsConfig",
    "RecallConfig",
    "ReverseConfig",
    "RunConfig",
    "TokenizerConfig",
    "TrackingConfig",
    "TrainerConfig",
    "TransformerConfig",
    "TranslationConfig",
    "parse",
    "parse_composed",
]

CONF_DIR = next(
    folder
    for folder in (Path(__file__).parent / "conf", Path(__file__).parents[1] / "conf")  # in a wheel, in a checkout
    if folder.is_dir()
)


class AttentionConfig(Strict):
    """``attention``: the variant, the one thing that a comparison changes."""

    name: Label
    score: str
    heads: Positive
    head_dim: PositiveOrNull
    causal: bool
    dropout: Probability

    @field_validator("score")
    @classmethod
    def _known(cls, score: str) -> str:
        if score not in score_names():
            raise ValueError(unknown("score", score, score_names()))
        return score

    def width(self, d_model: int) -> int:
        """Return the width K of one head: ``head_dim``, by default ceil(d_model / heads) (C3)."""
        return self.head_dim or math.ceil(d_model / self.heads)


class TransformerConfig(Strict):
    """``backbone=transformer``: pre-norm blocks (Xiong et al. 2020), the same sizes in encoder and decoder."""

    name: Literal["transformer"]
    d_model: Positive
    layers: Positive
    d_ff: Positive
    dropout: Probability
    positions: Literal["sinusoidal", "learned"]


class TranslationConfig(Strict):
    """``task=translation``."""

    name: Literal["translation"]
    max_length: AtLeastFour
    label_smoothing: Probability
    val_decodes: Positive


class LanguageModelConfig(Strict):
    """``task=language_model``."""

    name: Literal["language_model"]
    max_length: AtLeastTwo
    causal: bool
    sample_prompts: tuple[str, ...]
    sample_tokens: NotNegative
    sample_temperature: PositiveFloat

    @field_validator("causal")
    @classmethod
    def _sees_no_future(cls, causal: bool) -> bool:
        if not causal:
            raise ValueError(
                "a language model that sees the future finds each answer in its input and learns to copy it, "
                "so its loss would mean nothing; leave task.causal=true"
            )
        return causal


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
    limit_batches: PositiveOrNull
    accelerator: Literal["auto", "cpu", "gpu"]
    precision: Literal["32-true", "bf16-mixed"]
    threads: PositiveOrNull
    deterministic: bool


class TrackingConfig(Strict):
    """``tracking``: how W&B sees the run; the local record is always written (C8)."""

    wandb: Literal["offline", "online", "disabled"]
    project: Label
    entity: LabelOrNull
    probes: NotNegative
    images: NotNegative


# What names, files or shows a run, and decides none of its numbers.
PRESENTATION = ("name", "tags", "notes", "runs", "tracking")


class RunConfig(Strict):
    """One training run, whole."""

    task: Annotated[TranslationConfig | LanguageModelConfig, Field(discriminator="name")]
    data: Data
    attention: AttentionConfig
    backbone: TransformerConfig
    optimizer: OptimizerConfig
    trainer: TrainerConfig
    tracking: TrackingConfig
    seed: NotNegative
    data_seed: NotNegative
    name: LabelOrNull
    tags: tuple[Label, ...]
    notes: str
    runs: Annotated[str, StringConstraints(min_length=1)]

    @model_validator(mode="after")
    def _corpus_fits_task(self) -> "RunConfig":
        needed, what = (PAIRS, "pairs of sentences") if self.task.name == "translation" else (TEXT, "text")
        if self.data.name not in needed:
            raise ValueError(
                f"data={self.data.name} does not fit task={self.task.name}, which learns from {what}; "
                f"valid: {', '.join(needed)}"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the config as plain nested dicts and lists, ready for yaml and W&B."""
        return self.model_dump(mode="json")

    def settings(self) -> dict[str, Any]:
        """Return all that decides the run's numbers: what only names, files or shows it is left out."""
        return {key: value for key, value in self.to_dict().items() if key not in PRESENTATION}

    def hash(self) -> str:
        """Return a SHA-256 of all that decides the run's numbers (:meth:`settings`)."""
        return _sha256(self.settings())

    def model_identity(self) -> str:
        """Return a SHA-256 that two configs share exactly if they train the same model in the same way (C4).

        The variant's name does not count, nor how its head width was spelled, nor a causal mask that the task has
        anyway.
        """
        values = self.settings()
        del values["attention"]["name"]
        values["attention"]["head_dim"] = self.attention.width(self.backbone.d_model)
        if self.task.name == "language_model":
            values["attention"]["causal"] = True
        return _sha256(values)


def parse(values: dict[str, Any]) -> RunConfig:
    """Check ``values``, the composed config as plain containers, and return it typed.

    Raises:
        Refused: in one line, with the key, the value and what would be valid.
    """
    try:
        # Through JSON, because strict mode takes lists for tuples only from there.
        return RunConfig.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise Refused(explain(error)) from None


def parse_composed(composed: DictConfig) -> RunConfig:
    """Resolve what Hydra composed, check it, and return it typed.

    Raises:
        Refused: in one line, with the key, the value and what would be valid.
    """
    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except HYDRA_ERRORS as error:
        raise Refused(explain_hydra(error)) from None
    return parse(values)  # type: ignore[arg-type]


def _sha256(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
