"""The schema of ``task``: what a model is trained for."""

from typing import Literal

from pydantic import field_validator

from attncompare.config_values import (
    AtLeastFour,
    AtLeastTwo,
    NotNegative,
    Positive,
    PositiveFloat,
    Probability,
    Strict,
)


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
