"""What training takes of memory while it runs."""

import re
import sys
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from attncompare.attention.kernels.heap import give_back_freed_memory


class PeakMemory(Callback):
    """Measures the most memory that training takes, beyond what was in use when it began.

    Attributes:
        peak: in bytes, also from before the run was resumed.
    """

    def __init__(self) -> None:
        self.peak, self._start = 0, None  # type: int, int | None
        self._gpu: torch.device | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin to measure; a run on the CPU uses no memory of a GPU, even where there is one."""
        if pl_module.device.type == "cuda":
            self._gpu = pl_module.device
            torch.cuda.reset_peak_memory_stats(self._gpu)
            self._start = torch.cuda.memory_allocated(self._gpu)
            return
        if sys.platform == "linux":
            give_back_freed_memory()
            Path("/proc/self/clear_refs").write_text("5")  # resets the peak (proc(5)): loading data does not count
        self._start = _status("VmRSS")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Keep the peak."""
        self._measure()

    def state_dict(self) -> dict[str, Any]:
        """Return the peak so far."""
        self._measure()
        return {"peak": self.peak}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.peak = state_dict["peak"]

    def _measure(self) -> None:
        if self._start is not None:
            most = torch.cuda.max_memory_allocated(self._gpu) if self._gpu else _status("VmHWM")
            self.peak = max(self.peak, most - self._start)


def _status(field: str) -> int:
    """Return resident memory (``VmRSS``) or its peak (``VmHWM``) of this process in bytes; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0
