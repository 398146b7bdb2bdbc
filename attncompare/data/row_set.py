"""One split of a text corpus whose rows stand for themselves, as ids."""

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from attncompare.data.batches import TextBatch, text_batch
from attncompare.data.kept import KeptRows
from attncompare.data.offsets import overlaps, token_bytes
from attncompare.data.tokenizer import BOS, UNK, Encoded, Tokenizer


class RowSet(KeptRows, Dataset[TextBatch]):
    """Rows, each BOS and its tokens; ``row_set[rows]`` is the batch of these rows.

    Args:
        texts: the rows.
        scored: for each row the [start, end] spans of characters that count; None: all do.
        max_length: see :class:`KeptRows`, as ``cut``; BOS does not count, because the last token is never an input.
    """

    def __init__(
        self,
        texts: Sequence[str],
        scored: Sequence[Sequence[Sequence[int]]] | None,
        tokenizer: Tokenizer,
        max_length: int,
        cut: bool,
    ) -> None:
        encoded = tokenizer.encode_batch(texts)
        super().__init__([len(tokens.ids) for tokens in encoded], max_length, cut)
        spans = scored if scored is not None else [[[0, len(text)]] for text in texts]
        sizes = [token_bytes(text, tokens.offsets) for text, tokens in zip(texts, encoded, strict=True)]
        self.ids = [np.array([BOS, *tokens.ids[:max_length]]) for tokens in encoded]
        self.scored = [_scored(*row)[:max_length] for row in zip(texts, encoded, spans, strict=True)]
        self.bytes = [size[:max_length] for size in sizes]

    def __getitem__(self, rows: list[int]) -> TextBatch:
        ids, scored = [self.ids[row] for row in rows], [self.scored[row] for row in rows]
        items = [np.full(len(self.bytes[row]), row) for row in rows]
        return text_batch(ids, scored, [self.bytes[row] for row in rows], items)

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record, over kept rows after cutting."""
        ids = np.concatenate([self.ids[row][1:] for row in self.kept])
        return {
            "tokens": len(ids),
            "scored_tokens": int(sum(self.scored[row].sum() for row in self.kept)),
            "bytes": sum(int(self.bytes[row] @ self.scored[row]) for row in self.kept),
            "unknown_rate": float((ids == UNK).mean()),
        }


def _scored(text: str, tokens: Encoded, spans: Sequence[Sequence[int]]) -> np.ndarray:
    counts = (any(overlaps(text, offset, start, end) for start, end in spans) for offset in tokens.offsets)
    return np.fromiter(counts, dtype=np.int64, count=len(tokens.offsets))
