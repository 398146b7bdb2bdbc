"""How much memory this machine can give to a run."""

import os
from collections.abc import Iterator
from pathlib import Path

_OWN_GROUPS = Path("/proc/self/cgroup")
# Where Linux tells the limits of groups of processes, as containers and clusters set them; the second is the older form.
_LIMITS = ((Path("/sys/fs/cgroup"), "memory.max"), (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"))


def total_memory() -> int | None:
    """Return the bytes of memory that this process may use at most, used or not, without swap.

    None where the system does not tell.
    """
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system has these names
        return None
    return min([installed, *_limits()])


def _limits() -> Iterator[int]:
    """Yield every limit that is set for the groups of this process, those of a container's root among them."""
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        for root, name in _LIMITS:
            own = root / group.lstrip("/")
            for folder in (own, *own.parents):
                if folder.is_relative_to(root):
                    yield from _limit(folder / name)


def _limit(file: Path) -> Iterator[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        return
    if text.isdecimal():  # else "max": no limit
        yield int(text)
