"""Where a process says what it says: a file of its own, so that the console stays free."""

import os
import sys
from pathlib import Path


def redirect(output: Path) -> None:
    """Send all that this process writes to standard output and standard error, also below Python, to a new ``output``.

    Raises:
        OSError: if the file cannot be written.
    """
    with output.open("w", buffering=1) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
