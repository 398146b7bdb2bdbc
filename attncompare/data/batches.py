"""What a batch holds, how rows of different lengths become one tensor, and how a batch is cut into parts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attncompare.data.tokenizer import PAD


class PairBatch(NamedTuple):
    """Pairs of sentences, or one part of such a batch. Ids, int64, filled up with PAD."""

    source_BS: Tensor
    """Source tokens and EOS."""
    target_BT: Tensor
    """BOS, target tokens and EOS: the decoder reads ``[:, :-1]`` and predicts ``[:, 1:]``."""
    index_B: Tensor
    """Number of each row in its split."""
    share: float = 1.0
    """The part's share of the scored tokens of its optimizer step."""
    step_tokens: int = 0
    """The scored tokens of that step."""

    def scored(self) -> int:
        """Return the number of tokens that are to be predicted."""
        return int((self.target_BT[:, 1:] != PAD).sum())

    def trimmed(self) -> "PairBatch":
        """Return the batch without columns that are padding alone."""
        source_BS, target_BT = (ids[:, : int((ids != PAD).sum(1).max())] for ids in (self.source_BS, self.target_BT))
        return self._replace(source_BS=source_BS, target_BT=target_BT)


class TextBatch(NamedTuple):
    """Windows or rows of text, or one part of such a batch."""

    input_BT: Tensor
    """Ids, int64, filled up with PAD."""
    target_BT: Tensor
    """The id after each input id."""
    scored_BT: Tensor
    """Boolean: whether the target counts; False on padding."""
    bytes_BT: Tensor
    """UTF-8 bytes that each target shows, int64, for bits per byte. An EOS shows none."""
    item_BT: Tensor
    """Number of the document, or row, in its split that each target belongs to, int64."""
    share: float = 1.0
    """The part's share of the scored tokens of its optimizer step."""
    step_tokens: int = 0
    """The scored tokens of that step."""

    def scored(self) -> int:
        """Return the number of tokens that are to be predicted."""
        return int(self.scored_BT.sum())

    def trimmed(self) -> "TextBatch":
        """Return the batch itself: its rows are of like length."""
        return self


def part(batch: Any, number: int, parts: int) -> Any:
    """Return every ``parts``-th row of ``batch`` from row ``number``, with its share of the scored tokens.

    The sums over all parts are those of the whole batch. Where no row is left, it is the first row again with a share
    of 0, so that no rank waits for another.
    """
    tokens = batch.scored()
    if parts == 1:
        return batch._replace(step_tokens=tokens)
    empty = number >= len(batch[0])
    rows = slice(0, 1) if empty else slice(number, None, parts)
    tensors = {name: value[rows] for name, value in batch._asdict().items() if isinstance(value, Tensor)}
    chosen = batch._replace(**tensors).trimmed()
    return chosen._replace(share=0.0 if empty else chosen.scored() / tokens, step_tokens=tokens)


def padded(rows: Sequence[np.ndarray], value: int = PAD) -> Tensor:
    """Put ``rows`` of ids into one int64 tensor (len(rows), longest), filled up with ``value`` on the right."""
    filled = np.full((len(rows), max(len(row) for row in rows)), value, dtype=np.int64)
    for line, row in zip(filled, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(filled)


def text_batch(
    ids: Sequence[np.ndarray], scored: Sequence[np.ndarray], sizes: Sequence[np.ndarray], items: Sequence[np.ndarray]
) -> TextBatch:
    """Make a batch of rows of ids, each one longer than its rows of facts about each target.

    Args:
        ids: the tokens of each row.
        scored: 1 where the target counts, else 0.
        sizes: how many bytes it shows.
        items: which document or row it belongs to.
    """
    return TextBatch(
        input_BT=padded([row[:-1] for row in ids]),
        target_BT=padded([row[1:] for row in ids]),
        scored_BT=padded(scored, 0).bool(),
        bytes_BT=padded(sizes, 0),
        item_BT=padded(items, 0),
    )
