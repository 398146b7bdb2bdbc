"""What a record tells of the environment that a run was made in, and what this machine's is."""

from typing import Any


def not_recorded(recorded: dict[str, Any]) -> list[str]:
    """Return which of the things that change numbers a record does not tell."""
    groups = ("data_fingerprint", "packages", "threads", "device", "cpu_capability", "git", "python")
    return [key for key in groups if key not in recorded]


def current(data_fingerprint: str, threads: int) -> dict[str, Any]:
    """Return the environment of training that starts now, with ``threads``."""
    from attncompare.record import environment

    return {**environment(data_fingerprint), "threads": threads}
