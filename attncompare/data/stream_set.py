"""One split of a text corpus that is one long text, as ids cut into windows."""

import numpy as np
from torch.utils.data import Dataset

from attncompare.data.batches import TextBatch, text_batch
from attncompare.data.order import Plan, generator, in_order, shuffled
from attncompare.data.token_arrays import Arrays
from attncompare.data.tokenizer import UNK

_AT_ONCE = 2**20  # numbers that a count looks at


class StreamSet(Dataset[TextBatch]):
    """All documents in one line: BOS, document, EOS, document, EOS, ...

    ``stream[starts]`` is the batch of windows that begin there.

    Args:
        stream: ``ids``, ``bytes`` and ``ends`` of the line (:func:`attncompare.data.encoding.encode_stream`).
        max_length: tokens in a window.
        stride: tokens from one fixed window to the next; the targets that it shares with those before are not scored
            again. None: ``max_length``.

    Attributes:
        ids: the line.
        bytes: how many bytes each of its tokens shows; special tokens show none.
    """

    left_out = truncated = 0  # a stream has no row that could be too long

    def __init__(self, stream: Arrays, max_length: int, stride: int | None = None) -> None:
        self.ids, self.bytes, self._ends = stream["ids"], stream["bytes"], stream["ends"]
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
        places = [np.arange(start + 1, start + len(window)) for start, window in zip(starts, windows, strict=True)]
        items = [np.searchsorted(self._ends, at, side="right") for at in places]
        sizes = [self.bytes[at] for at in places]
        scored = [self._scored(start, len(at)) for start, at in zip(starts, places, strict=True)]
        return text_batch(windows, scored, sizes, items)

    def _scored(self, start: int, targets: int) -> np.ndarray:
        """Return 1 for each target of a window that no window before it has."""
        seen = self.max_length - self.stride if start else 0
        return (np.arange(targets) >= seen).astype(np.int64)

    def train_plan(self, data_seed: int, epoch: int, batch_size: int | None, batch_tokens: int | None = None) -> Plan:
        """Return an epoch of training: full windows from an offset of the epoch's own, so that it cuts elsewhere.

        Args:
            data_seed: with ``epoch``, what the order is a function of.
            epoch: from 0.
            batch_size: windows in a batch; None: ``batch_tokens`` decides.
            batch_tokens: tokens in a batch: windows * ``max_length``.
        """
        rng = generator(data_seed, epoch)
        offset = int(rng.integers(self.max_length))
        # As many as fit at any offset, so that every epoch has the same number of batches.
        windows = (len(self.ids) - self.max_length) // self.max_length
        starts = offset + np.arange(max(0, windows)) * self.max_length
        return shuffled(starts, self._windows(batch_size, batch_tokens), rng)

    def fixed_plan(self, batch_size: int | None, batch_tokens: int | None = None) -> Plan:
        """Return the fixed windows in order; arguments as for :meth:`train_plan`."""
        return in_order(self.fixed_starts, self._windows(batch_size, batch_tokens))

    def counts(self) -> dict[str, int | float]:
        """Return the numbers for the record; tokens are those to be predicted, EOS among them."""
        parts = [slice(start, start + _AT_ONCE) for start in range(1, len(self.ids), _AT_ONCE)]
        tokens = len(self.ids) - 1
        return {
            "tokens": tokens,
            "bytes": sum(int(self.bytes[part].sum(dtype=np.int64)) for part in parts),
            "unknown_rate": sum(int((self.ids[part] == UNK).sum()) for part in parts) / tokens,
        }

    def _windows(self, batch_size: int | None, batch_tokens: int | None) -> int:
        if batch_size is not None:
            return batch_size
        assert batch_tokens is not None
        return batch_tokens // self.max_length
