"""One split of a translation corpus as ids."""

import torch
from torch.utils.data import Dataset

from attncompare.data.batches import PairBatch, padded
from attncompare.data.kept import KeptRows
from attncompare.data.token_arrays import Arrays
from attncompare.data.token_rows import TokenRows
from attncompare.data.tokenizer import BOS, EOS, UNK


class PairSet(KeptRows, Dataset[PairBatch]):
    """Encoded pairs; ``pair_set[rows]`` is the batch of these rows.

    A pair is as long as its longer side: the source's tokens and EOS, or BOS and the target's tokens. A side that is
        cut keeps its EOS.

    Args:
        source: ``ids`` and ``ends`` of the source sentences (:func:`attncompare.data.encoding.encode_lines`).
        target: likewise.
        max_length: see :class:`KeptRows`, as ``cut``.

    Attributes:
        source: by row number: the source's ids and EOS.
        target: likewise: BOS, the target's ids and EOS.
    """

    def __init__(self, source: Arrays, target: Arrays, max_length: int, cut: bool) -> None:
        room = max_length - 1
        self._ids = {"source": source["ids"], "target": target["ids"]}
        self.source = TokenRows(source["ids"], source["ends"], room, after=(EOS,))
        self.target = TokenRows(target["ids"], target["ends"], room, before=(BOS,), after=(EOS,))
        super().__init__([self.target.lengths + 1, self.source.lengths + 1], max_length, cut)

    def __getitem__(self, rows: list[int]) -> PairBatch:
        source_BS = padded([self.source[row] for row in rows])
        return PairBatch(source_BS, padded([self.target[row] for row in rows]), torch.tensor(rows))

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record; tokens include EOS, and are those of kept rows after cutting."""
        tokens, unknown = {}, {}
        for side, rows in {"source": self.source, "target": self.target}.items():
            parts = [(len(at), int((self._ids[side][at] == UNK).sum())) for at in rows.seen(self.kept)]
            tokens[side] = sum(size for size, _ in parts) + len(self.kept)
            unknown[side] = sum(count for _, count in parts)
        both = sum(tokens.values())
        return {
            "source_tokens": tokens["source"],
            "target_tokens": tokens["target"],
            "tokens": both,
            "unknown_rate": sum(unknown.values()) / both,
            "source_unknown_rate": unknown["source"] / tokens["source"],
            "target_unknown_rate": unknown["target"] / tokens["target"],
        }
