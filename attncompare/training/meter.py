"""What training costs while it runs: time and memory."""

import re
import resource
import sys
import time
from pathlib import Path

import torch

from attncompare.attention.kernels.heap import give_back_freed_memory


class Stopwatch:
    """Seconds while it runs; validation and tracking stop it.

    Args:
        seconds: what was counted before.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._sum = seconds
        self._since: float | None = None

    def start(self) -> None:
        """Go on counting."""
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Stop counting until the next start."""
        self._sum, self._since = self.seconds, None

    @property
    def seconds(self) -> float:
        """Return what was counted so far."""
        return self._sum + (0.0 if self._since is None else time.perf_counter() - self._since)


class PeakMemory:
    """The most memory in use since it was made, beyond what was in use then.

    Args:
        device: whose memory; a run on the CPU is none of the GPU's, even where there is one.
    """

    def __init__(self, device: torch.device) -> None:
        self._gpu = device if device.type == "cuda" else None
        if self._gpu:
            torch.cuda.reset_peak_memory_stats(self._gpu)
            self._start = torch.cuda.memory_allocated(self._gpu)
            return
        if sys.platform == "linux":
            give_back_freed_memory()
            Path("/proc/self/clear_refs").write_text("5")  # resets the peak (proc(5)): loading data does not count
        self._start = _resident_bytes()

    def bytes(self) -> int:
        """Return the peak so far."""
        peak = torch.cuda.max_memory_allocated(self._gpu) if self._gpu else _peak_resident_bytes()
        return max(0, peak - self._start)


def _resident_bytes() -> int:
    return _status("VmRSS") if sys.platform == "linux" else _peak_resident_bytes()


def _peak_resident_bytes() -> int:
    if sys.platform == "linux":
        return _status("VmHWM")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found, f"/proc/self/status has no {field}"
    return int(found[1]) * 1024
