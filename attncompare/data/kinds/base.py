"""What every kind of data defines: how its text becomes sequences, and which of them attention maps are drawn of."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from attncompare.config import RunConfig
from attncompare.data.batches import Plan
from attncompare.data.corpus import text_columns
from attncompare.data.encoding import EncodedCorpus
from attncompare.data.tokenizer import Tokenizer
from attncompare.errors import Refused
from attncompare.text import counted, shortly

MODERATE = range(6, 21)
"""Tokens of a sequence that a map shows well, EOS or BOS included."""


class SplitSet(Protocol):
    """An encoded split; ``split_set[keys]`` is the batch of the rows or windows that a plan calls so.

    Attributes:
        left_out: rows that are too long to be used.
        truncated: rows that lost their end.
    """

    left_out: int
    truncated: int

    def __len__(self) -> int: ...
    def __getitem__(self, keys: list[int], /) -> Any: ...
    def train_plan(
        self, order_seed: int, epoch: int, batch_size: int | None, batch_tokens: int | None = None, /
    ) -> Plan:
        """Return an epoch of training, in batches of so many rows or tokens."""

    def fixed_plan(self, batch_size: int | None, batch_tokens: int | None = None, /) -> Plan:
        """Return everything once, in order."""

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record."""


S = TypeVar("S", bound=SplitSet)


@dataclass(frozen=True)
class Probe:
    """One example. The decoder reads ``target_ids[:-1]``; its position t predicts ``target_ids[t + 1]``."""

    source_ids: list[int] | np.ndarray | None
    """The source's tokens and EOS, or vectors (S, features); None for text, unless the model is an encoder alone."""
    target_ids: list[int]
    """BOS, the target's tokens and EOS; for text, the tokens as they stand in their window; BOS and a label; empty for text
    that an encoder alone reads."""
    sure_TS: np.ndarray | None
    """Gold alignment, boolean, of ``target_ids[t + 1]`` and ``source_ids[s]``; None where none is known. True where a field
    is one token on both sides, and for EOS."""
    possible_TS: np.ndarray | None
    """Likewise, True wherever both tokens lie in the same field (Och and Ney 2003, section 2)."""
    written: str = ""
    """The text that was encoded, the source's if there is one, or the name of its sound; empty where it is not at hand."""
    places: list[str] | None = None
    """What stands at each position of the source; None: its tokens."""
    image: np.ndarray | None = None
    """The image that the source is: gray levels from 0 to 255, (height, width), uint8; None: it is none."""
    patch: int = 0
    """The side of the squares of the image, in pixels, which the first positions of the source are, row by row."""
    wave: np.ndarray | None = None
    """A drawing of the source's sound (:func:`attncompare.data.audio.outline`); None: it is none."""
    target_written: str = ""
    """The text of the target beside a source, where it was encoded from one; empty where it is not at hand."""


class DataKind(ABC, Generic[S]):
    """The data of a run, all rows of which are of one kind.

    ``note`` is told what people should know; ``tokenizers`` take the place of those that are learned.

    Attributes:
        tokenizer, source_tokenizer: as of :class:`attncompare.data.module.DataModule`.
    """

    def __init__(
        self,
        config: RunConfig,
        encoded: EncodedCorpus,
        note: Callable[[str], None],
        tokenizers: tuple[Tokenizer, Tokenizer | None] | None = None,
    ) -> None:
        self.config, self.encoded, self.corpus, self._note = config, encoded, encoded.corpus, note
        self.tokenizer, self.source_tokenizer = tokenizers or self.learned_tokenizers()

    def learned_tokenizers(self) -> tuple[Tokenizer, Tokenizer | None]:
        """Return the tokenizer of targets, or of all text, and that of sources, if it is another."""
        return self.learned(text_columns(self.corpus)), None

    def learned(self, columns: Sequence[str], whose: str = "the train split") -> Tokenizer:
        """Return a tokenizer trained on some columns of the train split, with the special tokens of the task."""
        tokens = self.config.data.tokenizer
        found = self.encoded.tokenizer(columns, tokens, whose)
        if tokens.vocab_size is not None and found.vocab_size < tokens.vocab_size:
            self._note(f"data.tokenizer.vocab_size={tokens.vocab_size}: {whose} gives {found.vocab_size} tokens")
        return found.with_specials(self.config.task_class.specials)

    @abstractmethod
    def split_set(self, split: str) -> S:
        """Return an encoded split; what does not fit the config is refused."""

    @abstractmethod
    def probes(self, split: str, rows: S, count: int) -> list[Probe]:
        """Return so many examples of a split, at most as many as it holds, which suit attention maps."""

    def own_probe(self, text: str) -> Probe:
        """Return a sentence of the user's as the model reads it; refused where it is too long, or nothing that it reads."""
        what = f"the rows of data={self.config.data.name} are no texts"
        raise Refused(f"tracking.probes={shortly(text)}: {what}; valid: a number of examples of val")

    def fitting(self, text: str, tokenizer: Tokenizer, more: int) -> list[int]:
        """Return the tokens of an own sentence; refused if with so many ``more`` they exceed the longest."""
        ids, longest = tokenizer.encode(text).ids, self.config.task.max_length - more
        if not 0 < len(ids) <= longest:
            what = f"{counted(len(ids), 'token')}; valid: 1 to {longest}, as task.max_length says"
            raise Refused(f"tracking.probes={shortly(text)}: {what}")
        return ids

    def augmented(self, batch: Any, rows: S, epoch: int) -> Any:  # noqa: ARG002
        """Return a batch of train as it is seen in an epoch; by default as it is."""
        return batch

    def facts(self, rows: S) -> dict[str, Any]:  # noqa: ARG002
        """Return what the record says of all rows of train, beside counts."""
        return {}
