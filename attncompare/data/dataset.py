"""What a dataset declares: its settings, the kind of its rows, and how it is loaded.

Its class is imported whenever a config that names it is checked, so a module of a dataset imports at its top nothing that
takes long: ``datasets`` and ``babel`` are imported by the methods that need them.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import StringConstraints, model_validator

from attncompare.config.values import NotNegative, PartConfig, Positive, PositiveOrNull, Strict, must_be

if TYPE_CHECKING:
    from attncompare.data.corpus import Corpus

SPLITS = ("train", "val", "test")
COLUMNS = {
    "parallel": ("source", "target"),
    "text": ("text",),
    "labelled": ("label",),
    "speech": ("name", "target"),
}
"""The columns of text that each kind of rows has."""
PathOrNull = Annotated[
    Annotated[str, StringConstraints(min_length=1)] | None, must_be("null, or a path of a folder or file")
]


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


class DatasetConfig(PartConfig):
    """What every dataset has: a tokenizer, and the size of a batch in rows or in tokens."""

    tokenizer: TokenizerConfig
    batch_size: PositiveOrNull
    batch_tokens: PositiveOrNull

    @model_validator(mode="after")
    def _one_size(self) -> "DatasetConfig":
        if (self.batch_size is None) == (self.batch_tokens is None):
            size, tokens = self.batch_size or "null", self.batch_tokens or "null"
            raise ValueError(
                f"batch_size={size} and batch_tokens={tokens}: one of the two says how large a batch is, the other is null"
            )
        return self

    @property
    def batch(self) -> tuple[str, int]:
        """The key that says how large a batch is, and its number."""
        key = "batch_size" if self.batch_tokens is None else "batch_tokens"
        return f"data.{key}", getattr(self, key)

    def rows_of(self, length: int) -> int:
        """Return how many rows of so many tokens a batch holds."""
        return self.batch[1] // length if self.batch_tokens is not None else self.batch[1]


class GeneratedConfig(DatasetConfig):
    """What every generated dataset has: the number of rows in each split."""

    train_size: Positive
    val_size: Positive
    test_size: Positive

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The rows of train, val and test."""
        return self.train_size, self.val_size, self.test_size


class ImageConfig(DatasetConfig):
    """What every dataset of images has: no tokenizer, and in pixels the side of the squares that an image is cut into, and by
    how much images of train are moved at most.
    """

    tokenizer: Annotated[None, must_be("null: images have no tokens")]  # type: ignore[assignment]
    patch: Positive
    shift: NotNegative


class Dataset(ABC):
    """A dataset: the base class of every ``data=NAME``.

    ``kind`` says what its rows are: ``parallel`` text of source and target, ``text``, ``labelled``, texts or images that each
    have a label, or ``speech``, sound and what is said; ``Config`` is the schema of its settings, the section ``data``;
    ``leading`` is the metric that comes first, where it is not the task's own; ``aligned``: whether gold alignments are known.
    Generated data, and splits that are drawn, follow from ``data_seed``.
    """

    kind: ClassVar[str]
    leading: ClassVar[str | None] = None
    aligned: ClassVar[bool] = False
    Config: ClassVar[type[DatasetConfig]] = DatasetConfig
    config: DatasetConfig

    def __init__(self, config: DatasetConfig, data_seed: int) -> None:
        self.config, self.data_seed = config, data_seed

    @staticmethod
    def declared() -> dict[str, Collection[str]]:
        """Return the names that class attributes may have."""
        return {"kind": COLUMNS}

    @abstractmethod
    def load(self) -> "Corpus":
        """Return the corpus, or refuse in one line; the same config, seed and library versions give the same one."""

    def files(self) -> list[Path]:
        """Return the local files that :meth:`load` reads, after checking them; none for what is fetched or generated."""
        return []
