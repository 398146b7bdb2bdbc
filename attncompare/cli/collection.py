"""When Python does not look for garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep Python from looking for garbage meanwhile."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """Import large libraries without looking for garbage, which they leave none of: that is a sixth of the time.

    Nor is it looked for in them later.
    """
    with without_collection():
        yield
        gc.freeze()
