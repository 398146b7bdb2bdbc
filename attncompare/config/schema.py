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

from attncompare.config.checks import check_references
from attncompare.config.corpora import PAIRS, TEXT, Data
from attncompare.config.messages import HYDRA_ERRORS, explain, explain_hydra, shown
from attncompare.config.older import completed
from attncompare.config.plain_values import leaves
from attncompare.config.task import LanguageModelConfig, TranslationConfig
from attncompare.config.training import OptimizerConfig, TrainerConfig
from attncompare.config.values import (
    Label,
    LabelOrNull,
    NotNegative,
    Positive,
    PositiveOrNull,
    Probability,
    Strict,
)
from attncompare.data.dataset import DatasetConfig, TokenizerConfig
from attncompare.errors import Refused
from attncompare.registry import score_names, unknown

__all__ = [
    "CONF_DIR",
    "PAIRS",
    "TEXT",
    "AttentionConfig",
    "DatasetConfig",
    "LanguageModelConfig",
    "OptimizerConfig",
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
    for folder in (Path(__file__).parents[1] / "conf", Path(__file__).parents[2] / "conf")  # in a wheel, in a checkout
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
    scale_embedding: bool
    bias: bool
    init: Literal["xavier", "gpt2"]


class TrackingConfig(Strict):
    """``tracking``: how W&B sees the run; the local record is always written (C8)."""

    wandb: Literal["offline", "online", "disabled"]
    project: Label
    entity: LabelOrNull
    probes: NotNegative
    images: NotNegative


_LARGEST = 2**63 - 1

# What names, files or shows a run, and decides none of its numbers.
PRESENTATION = ("name", "tags", "notes", "runs", "resume", "tracking")


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
    resume: Annotated[str, StringConstraints(min_length=1)] | None

    @model_validator(mode="after")
    def _corpus_fits_task(self) -> "RunConfig":
        needed, what = (PAIRS, "pairs of sentences") if self.task.name == "translation" else (TEXT, "text")
        if self.data.name not in needed:
            raise ValueError(
                f"data={self.data.name} does not fit task={self.task.name}, which learns from {what}; "
                f"valid: {', '.join(needed)}"
            )
        return self

    @model_validator(mode="after")
    def _vocabularies_fit_task(self) -> "RunConfig":
        if self.task.name == "language_model" and not self.data.tokenizer.joint:
            raise ValueError("data.tokenizer.joint=false: a text has one vocabulary; two are for pairs of languages")
        return self

    @model_validator(mode="after")
    def _each_process_has_rows(self) -> "RunConfig":
        rows, devices, (key, size) = self.data.rows_of(self.task.max_length), self.trainer.devices, self.data.batch
        if rows < 1:
            raise ValueError(f"{key}={size} holds no row of task.max_length={self.task.max_length} tokens; raise it")
        if rows < devices:
            longest = "" if self.data.batch_size else f", {rows} of task.max_length={self.task.max_length} tokens"
            raise ValueError(f"trainer.devices={devices} is more than {key}={size}{longest}, the rows to share")
        return self

    @model_validator(mode="after")
    def _compiled_shapes_repeat(self) -> "RunConfig":
        if self.trainer.compile and self.trainer.deterministic and self.task.name == "translation":
            raise ValueError(
                "trainer.compile=true with task=translation: its batches have many shapes, and what is compiled for one "
                "depends on those before it, so a resumed run would give other bits; add trainer.deterministic=false"
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


def parse(values: Any) -> RunConfig:
    """Check ``values``, a record's config as plain containers, and return it typed; what is newer than it is filled in.

    Raises:
        Refused: in one line, with the key, the value and what would be valid.
    """
    return _checked(completed(values))


def _checked(values: Any) -> RunConfig:
    # No config that was ever parsed holds a reference, so nothing that reads one later could resolve it.
    for key, value in leaves(values):
        if problem := _unfit(value):
            raise Refused(f"{shown(key)}={shown(value)}: {problem}")
    try:
        # Through JSON, because strict mode takes lists for tuples only from there.
        return RunConfig.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise Refused(explain(error)) from None
    except (TypeError, ValueError) as error:  # what JSON cannot hold
        raise Refused(f"not a config: {error}") from None


def _unfit(value: Any) -> str | None:
    """Return what is wrong with a value wherever it stands, if anything is."""
    if isinstance(value, int) and abs(value) > _LARGEST:
        return f"too large; at most {_LARGEST}"
    if isinstance(value, str) and "${" in value:
        return "${ begins a reference, and a resolved config holds none"
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        return "must be a text in UTF-8 without NUL"
    return None


def parse_composed(composed: DictConfig) -> RunConfig:
    """Resolve what Hydra composed, check it, and return it typed.

    Raises:
        Refused: in one line, with the key, the value and what would be valid.
    """
    try:
        check_references(OmegaConf.to_container(composed, resolve=False), "the config")
        values = OmegaConf.to_container(composed, resolve=True)
    except HYDRA_ERRORS as error:
        raise Refused(explain_hydra(error)) from None
    except RecursionError:
        raise Refused("the references of the config go in a circle") from None
    return _checked(values)


def _sha256(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
