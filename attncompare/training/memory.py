"""What training takes of memory."""

import weakref
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(Callback):
    """Measures the most memory that tensors take in training, beyond the weights.

    On a GPU it is what torch's allocator counts over the whole of ``fit``. On the CPU it is counted once training has
    ended: the loss of the largest batch and its gradient, computed once more (:func:`step_bytes`). So models that are the
    same have the same value. The size of the process would not do: it depends on what malloc keeps, and differs by a third
    between runs of one config.

    Attributes:
        peak: in bytes; on a GPU also from before the run was resumed.
    """

    def __init__(self) -> None:
        self.peak, self._start = 0, 0
        self._gpu: torch.device | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin to measure; a run on the CPU uses no memory of a GPU, even where there is one."""
        if pl_module.device.type == "cuda":
            self._gpu = pl_module.device
            torch.cuda.reset_peak_memory_stats(self._gpu)
            self._start = torch.cuda.memory_allocated(self._gpu)

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Keep the peak."""
        self._measure()
        if self._gpu is None and trainer.is_global_zero:
            state = [value for one in trainer.optimizers for value in tree_leaves(dict(one.state))]
            self.peak = step_bytes(pl_module, trainer.train_dataloader.largest(), state)

    def state_dict(self) -> dict[str, Any]:
        """Return the peak so far."""
        self._measure()
        return {"peak": self.peak}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.peak = state_dict["peak"]

    def _measure(self) -> None:
        if self._gpu is not None:
            self.peak = max(self.peak, torch.cuda.max_memory_allocated(self._gpu) - self._start)


def step_bytes(task: Any, batch: Any, optimizer_state: Iterable[Any]) -> int:
    """Return the most bytes that tensors take at once in a training step on ``batch``, beyond the weights.

    Counted are the optimizer's state, the last gradients until they are freed before the backward pass, and whatever the
    forward and backward pass make; not what a kernel takes and frees within one operation. The weights, their gradients
    and the random numbers stay as they are. Code of ``torch.compile`` is left out: what it compiles is counted uncompiled.
    """
    weights = [weight for weight in task.parameters() if weight.requires_grad]
    state = {one.untyped_storage().data_ptr(): one for one in optimizer_state if isinstance(one, Tensor)}
    held, gradients = (sum(one.untyped_storage().nbytes() for one in some) for some in (state.values(), weights))
    was_training = task.training
    task.train()
    # Without compiled code the stance changes nothing, and setting it would take seconds.
    eager = torch.compiler.set_stance("force_eager") if task.config.trainer.compile else nullcontext()
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad(), eager, _Allocated() as allocated:
            loss = task.loss(batch)
            forward, allocated.peak = allocated.peak, allocated.bytes
            made = torch.autograd.grad(loss, weights, allow_unused=True)
            del loss, made
    finally:
        task.train(was_training)
    return held + max(forward + gradients, allocated.peak)


class _Allocated(TorchDispatchMode):
    """Counts the bytes of the tensors that operations make, while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.peak = 0
        self._living: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do the operation, and count what it made."""
        made = func(*args, **(kwargs or {}))
        given = {one.untyped_storage()._cdata for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
        for one in tree_leaves(made):
            if isinstance(one, Tensor) and (key := one.untyped_storage()._cdata) not in given | self._living:
                storage = one.untyped_storage()
                self._living.add(key)
                self.bytes += storage.nbytes()
                self.peak = max(self.peak, self.bytes)
                weakref.finalize(storage, self._freed, key, storage.nbytes())
        return made

    def _freed(self, key: int, size: int) -> None:
        self._living.discard(key)
        self.bytes -= size
