"""In words how a process ended that said nothing itself."""

import signal


def death(exit_code: int | None) -> str:
    """Return why a process ended with ``exit_code``, as Python's ``multiprocessing`` tells it."""
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:  # most of the real-time ones have no name
        return f"signal {-exit_code}"
    return f"{name}: the system may have run out of memory" if name == "SIGKILL" else name
