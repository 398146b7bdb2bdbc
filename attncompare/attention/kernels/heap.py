"""What the C library does with memory that is freed; only glibc can be told."""

import ctypes
import sys

_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_LARGE = 2**30  # bytes


def keep_freed_memory() -> None:
    """Have up to 1 GiB of what is freed kept for the next step or token.

    Otherwise large tensors go back to the system as soon as they are freed, which clears every page that it gives out again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_TRIM, _LARGE)
        mallopt(_MMAP, _LARGE)
