"""One split of a text corpus that is one long text, as ids cut into windows."""

from collections.abc import Sequence

import numpy as np
from torch.utils.data import Dataset

from attncompare.data.batches import TextBatch, text_batch
from attncompare.data.offsets import token_bytes
from attncompare.data.order import Plan, generator, in_order, shuffled
from attncompare.data.tokenizer import BOS, EOS, UNK, Tokenizer


class StreamSet(Dataset[TextBatch]):
    """All documents in one line: BOS, document, EOS, document, EOS, ...

    ``stream[starts]`` is the batch of windows that begin there.

    Args:
        documents: the texts.
        max_length: tokens in a window.
    """

    left_out = truncated = 0  # a stream has no row that could be too long

    def __init__(self, documents: Sequence[str], tokenizer: Tokenizer, max_length: int) -> None:
        encoded = tokenizer.encode_batch(documents)
        self.ids = np.array([BOS, *(i for document in encoded for i in (*document.ids, EOS))])
        sizes = (token_bytes(text, tokens.offsets) for text, tokens in zip(documents, encoded, strict=True))
        self.bytes = np.concatenate([[0], *(part for size in sizes for part in (size, [0]))])  # specials show no byte
        lengths = [len(tokens.ids) + 1 for tokens in encoded]  # an EOS belongs to the document that it ends
        self.items = np.concatenate([[0], np.repeat(np.arange(len(lengths)), lengths)])
        self.max_length = max_length

    def __len__(self) -> int:
        return len(self.fixed_starts)

    @property
    def fixed_starts(self) -> range:
        """Starts of windows that together predict every token exactly once; the last window may be shorter."""
        return range(0, len(self.ids) - 1, self.max_length)

    def __getitem__(self, starts: list[int]) -> TextBatch:
        windows = [self.ids[start : start + self.max_length + 1] for start in starts]
        sizes, items = (
            [facts[start + 1 : start + self.max_length + 1] for start in starts] for facts in (self.bytes, self.items)
        )
        return text_batch(windows, [np.ones(len(window) - 1, dtype=np.int64) for window in windows], sizes, items)

    def train_plan(self, data_seed: int, epoch: int, batch_size: int) -> Plan:
        """Return an epoch of training: full windows from an offset of the epoch's own, so that it cuts elsewhere."""
        rng = generator(data_seed, epoch)
        offset = int(rng.integers(self.max_length))
        # As many as fit at any offset, so that every epoch has the same number of batches.
        windows = (len(self.ids) - self.max_length) // self.max_length
        return shuffled([offset + i * self.max_length for i in range(windows)], batch_size, rng)

    def fixed_plan(self, batch_size: int) -> Plan:
        """Return the fixed windows in order."""
        return in_order(self.fixed_starts, batch_size)

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record; tokens are those to be predicted, EOS among them."""
        return {
            "tokens": len(self.ids) - 1,
            "bytes": int(self.bytes.sum()),
            "unknown_rate": float((self.ids[1:] == UNK).mean()),
        }
