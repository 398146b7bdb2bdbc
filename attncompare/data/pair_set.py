"""One split of a translation corpus as ids."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from attncompare.data.batches import PairBatch, padded
from attncompare.data.kept import KeptRows
from attncompare.data.tokenizer import BOS, EOS, UNK, Tokenizer


class PairSet(KeptRows, Dataset[PairBatch]):
    """Encoded pairs; ``pair_set[rows]`` is the batch of these rows.

    A pair is as long as its longer side: the source's tokens and EOS, or BOS and the target's tokens. A side that is
        cut keeps its EOS.

    Args:
        sources: the source sentences.
        targets: the target sentences.
        max_length: see :class:`KeptRows`, as ``cut``.
    """

    def __init__(
        self, sources: Sequence[str], targets: Sequence[str], tokenizer: Tokenizer, max_length: int, cut: bool
    ) -> None:
        source_ids = [encoded.ids for encoded in tokenizer.encode_batch(sources)]
        target_ids = [encoded.ids for encoded in tokenizer.encode_batch(targets)]
        lengths = [max(len(s), len(t)) + 1 for s, t in zip(source_ids, target_ids, strict=True)]
        super().__init__(lengths, max_length, cut)
        room = max_length - 1
        self.source = [np.array([*ids[:room], EOS]) for ids in source_ids]
        self.target = [np.array([BOS, *ids[:room], EOS]) for ids in target_ids]

    def __getitem__(self, rows: list[int]) -> PairBatch:
        source_BS = padded([self.source[row] for row in rows])
        return PairBatch(source_BS, padded([self.target[row] for row in rows]), torch.tensor(rows))

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record; tokens include EOS, and are those of kept rows after cutting."""
        source = np.concatenate([self.source[row] for row in self.kept])
        target = np.concatenate([self.target[row][1:] for row in self.kept])
        tokens = len(source) + len(target)
        return {
            "source_tokens": len(source),
            "target_tokens": len(target),
            "tokens": tokens,
            "unknown_rate": int((source == UNK).sum() + (target == UNK).sum()) / tokens,
        }
