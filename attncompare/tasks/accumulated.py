"""The batches of one optimizer step so far, where a step takes several (``trainer.accumulate``)."""

import torch
from torch import Tensor


class Accumulated:
    """Their loss, as if they were one batch: a mean over all their tokens.

    Attributes:
        batches: how many there are.
        tokens: that their losses are means over, together.
    """

    def __init__(self) -> None:
        self.batches = self.tokens = 0
        self._newest = torch.tensor(torch.nan)
        self._nats = 0.0

    def add(self, loss: Tensor, tokens: int) -> None:
        """Add a batch with its mean ``loss`` over ``tokens`` tokens."""
        self.batches, self.tokens = self.batches + 1, self.tokens + tokens
        self._newest = loss
        self._nats += loss.item() * tokens

    @property
    def mean(self) -> Tensor:
        """Return the loss over all tokens; of a single batch exactly what was added."""
        return self._newest if self.batches == 1 else self._newest.new_tensor(self._nats / self.tokens)
