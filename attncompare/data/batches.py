"""What a batch holds, and how rows of different lengths become one tensor."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attncompare.data.tokenizer import PAD


class PairBatch(NamedTuple):
    """Translation. Ids, int64, filled up with PAD."""

    source_BS: Tensor
    """Source tokens and EOS."""
    target_BT: Tensor
    """BOS, target tokens and EOS: the decoder reads ``[:, :-1]`` and predicts ``[:, 1:]``."""
    index_B: Tensor
    """Number of each row in its split."""


class TextBatch(NamedTuple):
    """Language model."""

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


def padded(rows: Sequence[np.ndarray], value: int = PAD) -> Tensor:
    """Put ``rows`` of ids into one int64 tensor (len(rows), longest), filled up with ``value`` on the right."""
    filled = np.full((len(rows), max(len(row) for row in rows)), value, dtype=np.int64)
    for line, row in zip(filled, rows, strict=True):
        line[: len(row)] = row
    return torch.from_numpy(filled)


def text_batch(
    ids: Sequence[np.ndarray],
    scored: Sequence[np.ndarray],
    sizes: Sequence[np.ndarray],
    items: Sequence[np.ndarray],
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
