"""Threads and device of a benchmark."""

from collections.abc import Callable

import torch

from attncompare.bench.options import Options
from attncompare.errors import Refused


def use(options: Options) -> Callable[[], None]:
    """Set the number of threads, and return what waits until everything on the device is done.

    Raises:
        Refused: if there is no such device here.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.device == "cpu":
        return lambda: None
    if not torch.cuda.is_available():
        raise Refused(f"--device {options.device}: torch finds no CUDA device here; valid: cpu")
    return torch.cuda.synchronize
