"""The schema of ``data``: what all corpora have, and a section for each that is generated or made from the libraries."""

from typing import Literal

from pydantic import model_validator

from attncompare.config_values import (
    AtLeastFour,
    Label,
    LetterCount,
    Positive,
    PositiveOrNull,
    SplitFraction,
    Strict,
)


class TokenizerConfig(Strict):
    """``data.tokenizer``: trained on the train split alone."""

    kind: Literal["word", "character", "bpe"]
    vocab_size: PositiveOrNull
    min_count: Positive

    @model_validator(mode="after")
    def _bpe_has_a_size(self) -> "TokenizerConfig":
        if self.kind == "bpe" and self.vocab_size is None:
            raise ValueError("a bpe tokenizer needs a vocab_size")
        return self


class CorpusConfig(Strict):
    """What every corpus has: a tokenizer and the number of sequences in a batch."""

    tokenizer: TokenizerConfig
    batch_size: Positive


class GeneratedConfig(CorpusConfig):
    """What every generated corpus has: the number of rows in each split."""

    train_size: Positive
    val_size: Positive
    test_size: Positive


class LocaleConfig(GeneratedConfig):
    """``data=locale``: phrases in two languages, generated from CLDR and num2words, with gold alignments."""

    name: Literal["locale"]
    source: Label
    target: Label

    @model_validator(mode="after")
    def _two_languages(self) -> "LocaleConfig":
        if self.source == self.target:
            raise ValueError(f"source and target are both '{self.source}'; translation needs two locales")
        return self


class ReverseConfig(GeneratedConfig):
    """``data=reverse``: a random string and the same string read backwards, with gold alignments."""

    name: Literal["reverse"]
    symbols: LetterCount
    min_symbols: Positive
    max_symbols: Positive

    @model_validator(mode="after")
    def _lengths(self) -> "ReverseConfig":
        if self.min_symbols > self.max_symbols:
            raise ValueError(f"min_symbols={self.min_symbols} is above max_symbols={self.max_symbols}")
        return self


class PydocsConfig(CorpusConfig):
    """``data=pydocs``: the docstrings of the Python standard library that runs the program."""

    name: Literal["pydocs"]
    val_fraction: SplitFraction
    test_fraction: SplitFraction


class RecallConfig(GeneratedConfig):
    """``data=recall``: multi-query associative recall (Arora et al. 2023, section 3)."""

    name: Literal["recall"]
    symbols: AtLeastFour
    pairs: Positive
    length: AtLeastFour

    @model_validator(mode="after")
    def _fits(self) -> "RecallConfig":
        if 4 * self.pairs > self.length:
            raise ValueError(
                f"pairs={self.pairs} with their queries need length >= {4 * self.pairs}, not {self.length}"
            )
        if 2 * self.pairs > self.symbols:
            raise ValueError(f"pairs={self.pairs} need symbols >= {2 * self.pairs}, not {self.symbols}")
        return self
