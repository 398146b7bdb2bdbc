"""What processes that share a batch tell each other at each step, so that together they train as one would."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from attncompare.data.order import Order


class Exchange:
    """Makes the loss of this process's rows its share of the loss of the whole batch.

    A loss is a mean over tokens, and the processes hold different numbers of them. Lightning's ``ddp`` averages their
    gradients; with this weight the average is the gradient of the mean over all tokens of the batch.

    Args:
        order: the batches of this process.
        wants_stop: whether this process asks for the end of training after this step.

    Attributes:
        stopping: whether any process asked, at the newest step; all of them know it at the same one.
    """

    def __init__(self, order: Order, wants_stop: Callable[[], bool] = lambda: False) -> None:
        self._order, self._wants_stop = order, wants_stop
        self.stopping = False

    def __call__(self, step: int, loss: Tensor, tokens: int) -> tuple[Tensor, Tensor, int]:
        """Return what this process differentiates, the mean over the tokens of all processes, and their number.

        Args:
            step: of the order, from 0.
            loss: the mean over the tokens of this process.
            tokens: how many these are.
        """
        counted = 0 if step in self._order.repeated else tokens
        here = loss.item() * counted if counted else 0.0  # the mean over no tokens is NaN
        # On the CPU, so that it goes over gloo also on GPUs: gloo says at once if another process is gone.
        sums = torch.tensor([here, counted, float(self._wants_stop())], dtype=torch.float64)
        torch.distributed.all_reduce(sums)
        total, everyone, stops = sums.tolist()
        self.stopping = stops > 0
        share = counted / everyone if everyone else 0.0
        mean = torch.tensor(total / everyone if everyone else math.nan, dtype=loss.dtype, device=loss.device)
        return loss * (share * torch.distributed.get_world_size()), mean, int(everyone)
