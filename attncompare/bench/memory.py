"""The peak of extra memory of one call, in a process of its own, so that nothing measured before hides it.

On the CPU it is what the system saw: the highest resident size during the call (``VmHWM``, which Linux lets a process
reset) less the resident size before it. Linux counts pages in
batches, so that it is exact to some 100 KiB. On CUDA it is what torch allocated. What the call returns and the gradients
that it leaves count; what was prepared does not.
"""

import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attncompare.bench.contender import LeftOut
from attncompare.attention.kernels.heap import give_back_freed_memory

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_RESIDENT = Path("/proc/self/smaps_rollup")
# Blocks beyond 128 KiB go back to the system at once, instead of when the C library finds it worth it.
_PLAIN_HEAP = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_TOP_PAD_": "0"}
_LEFT_OUT = 3  # exit code


def peak_extra_bytes(
    make: str, arguments: Mapping[str, Any], warm_up: Mapping[str, Any] | None, device: str = "cpu"
) -> int:
    """Return by how many bytes memory grows at most during one call of a contender's work.

    Args:
        make: ``module:function``, the function that returns the contender for keyword arguments.
        arguments: of that function, plain JSON values.
        warm_up: arguments of a contender that is called once before, so that code, threads and buffers of libraries are
            not counted, a small problem of the same kind; None: the call before is one of the same work, where a first
            call compiles for its sizes.
        device: cpu or cuda.

    Raises:
        LeftOut: if the contender does not work here, or memory cannot be read.
    """
    if device == "cpu" and not _RESET.exists():
        raise LeftOut("peak memory is read from /proc/self, which this system lacks")
    task = json.dumps(
        {"make": make, "arguments": dict(arguments), "warm_up": warm_up and dict(warm_up), "device": device}
    )
    command = [sys.executable, "-m", __name__, task]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **_PLAIN_HEAP},
    )
    last = next(iter(done.stdout.splitlines()[-1:]), "")
    if done.returncode == _LEFT_OUT:
        raise LeftOut(last)
    if done.returncode:
        error = next(iter(done.stderr.splitlines()[-1:]), f"exit code {done.returncode}")
        raise LeftOut(f"its process for memory ended early: {error}")
    return int(last)


def main(task: str) -> int:
    """Measure in this process what ``task`` (JSON) says, and print the bytes."""
    wanted = json.loads(task)
    module, function = wanted["make"].split(":")
    make = getattr(importlib.import_module(module), function)
    try:
        if wanted["warm_up"] is not None:
            make(**wanted["warm_up"]).prepare()()
        work = make(**wanted["arguments"]).prepare()
        if wanted["warm_up"] is None:
            work()
        print((_cuda_growth if wanted["device"] == "cuda" else _resident_growth)(work))
    except LeftOut as reason:
        print(reason)
        return _LEFT_OUT
    return 0


def _resident_growth(work: Callable[[], object]) -> int:
    gc.collect()
    give_back_freed_memory()
    _RESET.write_text("5")  # the highest resident size is the present one from now on
    before = _kibibytes(_RESIDENT, "Rss")
    kept = work()
    growth = _kibibytes(_STATUS, "VmHWM") - before
    del kept
    return max(0, growth) * 1024


def _cuda_growth(work: Callable[[], object]) -> int:
    import torch

    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    kept = work()
    torch.cuda.synchronize()
    growth = torch.cuda.max_memory_allocated() - before
    del kept
    return growth


def _kibibytes(file: Path, key: str) -> int:
    """Return the number behind ``key:`` in one of Linux's files about this process."""
    line = next(line for line in file.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
