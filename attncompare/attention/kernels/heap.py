"""What the C library does with memory that is freed; only glibc can be told."""

import ctypes
import sys
from typing import Any

_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_LARGE = 2**30  # bytes


def keep_freed_memory() -> None:
    """Have up to 1 GiB of what is freed kept for the next step or token.

    Otherwise large tensors go back to the system as soon as they are freed, which clears every page that it gives out again.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(_TRIM, _LARGE)
        mallopt(_MMAP, _LARGE)


def give_back_freed_memory() -> None:
    """Give what is kept back to the system, so that what is in use next is seen as growth."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
