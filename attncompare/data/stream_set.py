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
        stride: tokens from one fixed window to the next; the targets that it shares with those before are not scored
            again. None: ``max_length``.
    """

    left_out = truncated = 0  # a stream has no row that could be too long

    def __init__(
        self, documents: Sequence[str], tokenizer: Tokenizer, max_length: int, stride: int | None = None
    ) -> None:
        encoded = tokenizer.encode_batch(documents)
        self.ids = np.array([BOS, *(i for document in encoded for i in (*document.ids, EOS))])
        sizes = (token_bytes(text, tokens.offsets) for text, tokens in zip(documents, encoded, strict=True))
        self.bytes = np.concatenate([[0], *(part for size in sizes for part in (size, [0]))])  # specials show no byte
        lengths = [len(tokens.ids) + 1 for tokens in encoded]  # an EOS belongs to the document that it ends
        self.items = np.concatenate([[0], np.repeat(np.arange(len(lengths)), lengths)])
        self.max_length, self.stride = max_length, stride or max_length

    def __len__(self) -> int:
        return len(self.disjoint_starts)

    @property
    def disjoint_starts(self) -> range:
        """Starts of windows side by side; the last window may be shorter."""
        return range(0, len(self.ids) - 1, self.max_length)

    @property
    def fixed_starts(self) -> range:
        """Starts of windows that together score every token exactly once; the last window may be shorter."""
        overlap = self.max_length - self.stride
        # A window that begins where no more than the overlap is left would score nothing; the first has no window before.
        return range(0, max(min(1, len(self.ids) - 1), len(self.ids) - 1 - overlap), self.stride)

    def __getitem__(self, starts: list[int]) -> TextBatch:
        windows = [self.ids[start : start + self.max_length + 1] for start in starts]
        sizes, items = (
            [facts[start + 1 : start + self.max_length + 1] for start in starts] for facts in (self.bytes, self.items)
        )
        scored = [self._scored(start, len(window) - 1) for start, window in zip(starts, windows, strict=True)]
        return text_batch(windows, scored, sizes, items)

    def _scored(self, start: int, targets: int) -> np.ndarray:
        """Return 1 for each target of a window that no window before it has."""
        seen = self.max_length - self.stride if start else 0
        return (np.arange(targets) >= seen).astype(np.int64)

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
