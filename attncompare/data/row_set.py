"""One split of a text corpus whose rows stand for themselves, as ids."""

import numpy as np
from torch.utils.data import Dataset

from attncompare.data.batches import TextBatch, text_batch
from attncompare.data.kept import KeptRows
from attncompare.data.token_arrays import Arrays
from attncompare.data.token_rows import TokenRows
from attncompare.data.tokenizer import BOS, UNK


class RowSet(KeptRows, Dataset[TextBatch]):
    """Rows, each BOS and its tokens; ``row_set[rows]`` is the batch of these rows.

    Args:
        rows: ``ids``, ``ends``, ``bytes`` and ``scored`` of the rows (:func:`attncompare.data.encoding.encode_rows`).
        max_length: see :class:`KeptRows`, as ``cut``; BOS does not count, because the last token is never an input.

    Attributes:
        ids: by row number: BOS and the row's ids.
        scored: likewise: 1 for each token that counts, else 0.
        bytes: likewise: how many bytes each token shows.
    """

    def __init__(self, rows: Arrays, max_length: int, cut: bool) -> None:
        self._arrays, ends = rows, rows["ends"]
        self.ids = TokenRows(rows["ids"], ends, max_length, before=(BOS,))
        self.scored, self.bytes = (TokenRows(rows[facts], ends, max_length) for facts in ("scored", "bytes"))
        super().__init__([self.ids.lengths], max_length, cut)

    def __getitem__(self, rows: list[int]) -> TextBatch:
        ids, scored, sizes = ([column[row] for row in rows] for column in (self.ids, self.scored, self.bytes))
        items = [np.full(len(size), row) for row, size in zip(rows, sizes, strict=True)]
        return text_batch(ids, scored, sizes, items)

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record, over kept rows after cutting."""
        tokens = scored = size = unknown = 0
        for at in self.ids.seen(self.kept):
            counts = self._arrays["scored"][at].astype(np.int64)
            tokens, scored = tokens + len(at), scored + int(counts.sum())
            size += int(self._arrays["bytes"][at] @ counts)
            unknown += int((self._arrays["ids"][at] == UNK).sum())
        return {"tokens": tokens, "scored_tokens": scored, "bytes": size, "unknown_rate": unknown / max(1, tokens)}
