"""The schema of ``data``: what all corpora have, and a section for each that is generated or made from the libraries."""

from typing import Literal

from pydantic import model_validator

from attncompare.config.values import (
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

    kind: Literal["word", "character", "bpe", "unigram"]
    vocab_size: PositiveOrNull
    min_count: Positive
    bytes: bool | None
    joint: bool

    @model_validator(mode="after")
    def _pieces_have_a_size(self) -> "TokenizerConfig":
        if self._has_pieces and self.vocab_size is None:
            raise ValueError(f"a {self.kind} tokenizer needs a vocab_size")
        if self.bytes and not self._has_pieces:
            raise ValueError(f"bytes=true does not fit kind={self.kind}; pieces of bytes have bpe and unigram")
        return self

    @property
    def _has_pieces(self) -> bool:
        return self.kind in ("bpe", "unigram")

    @property
    def byte_level(self) -> bool:
        """Whether tokens are made of bytes, so that nothing is unknown."""
        return self._has_pieces and self.bytes is not False


class CorpusConfig(Strict):
    """What every corpus has: a tokenizer, and the size of a batch in sequences or in tokens."""

    tokenizer: TokenizerConfig
    batch_size: PositiveOrNull
    batch_tokens: PositiveOrNull

    @model_validator(mode="after")
    def _one_size(self) -> "CorpusConfig":
        if (self.batch_size is None) == (self.batch_tokens is None):
            raise ValueError(
                f"batch_size={_shown(self.batch_size)} and batch_tokens={_shown(self.batch_tokens)}: one of the two says "
                "how large a batch is, and the other must be null"
            )
        return self

    @property
    def batch(self) -> tuple[str, int]:
        """The key that says how large a batch is, and its number."""
        if self.batch_tokens is None:
            assert self.batch_size is not None
            return "data.batch_size", self.batch_size
        return "data.batch_tokens", self.batch_tokens

    def rows_of(self, length: int) -> int:
        """Return how many rows of so many tokens a batch holds."""
        return self.batch_tokens // length if self.batch_size is None and self.batch_tokens else self.batch[1]


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


def _shown(number: int | None) -> str:
    return "null" if number is None else str(number)
