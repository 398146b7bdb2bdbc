"""The schema of ``task``: what a model is trained for."""

from typing import Literal

from pydantic import field_validator, model_validator

from attncompare.config.values import (
    AtLeastFour,
    AtLeastTwo,
    NotNegative,
    NotNegativeFloat,
    Positive,
    PositiveFloat,
    PositiveOrNull,
    Probability,
    Strict,
)


class TranslationConfig(Strict):
    """``task=translation``."""

    name: Literal["translation"]
    max_length: AtLeastFour
    label_smoothing: Probability
    val_decodes: Positive
    beam: Positive
    length_penalty: NotNegativeFloat
    bleu_tokenize: Literal["13a", "intl", "zh", "char", "none"]
    bleu_lowercase: bool


class LanguageModelConfig(Strict):
    """``task=language_model``."""

    name: Literal["language_model"]
    max_length: AtLeastTwo
    eval_stride: PositiveOrNull
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

    @model_validator(mode="after")
    def _no_target_is_passed_over(self) -> "LanguageModelConfig":
        if self.eval_stride is not None and self.eval_stride > self.max_length:
            raise ValueError(
                f"eval_stride={self.eval_stride} is more than max_length={self.max_length}: the windows would leave out "
                "tokens between them"
            )
        return self
