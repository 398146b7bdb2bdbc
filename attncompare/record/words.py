"""Words for a terminal: what a record says, which a stranger may have written, and commands that can be copied."""

import shlex
from pathlib import Path
from typing import Any

_LONGEST = 200


def printable(text: str) -> str:
    """Return ``text`` with whatever is no visible character, such as an escape sequence, spelled out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def shortly(value: Any) -> str:
    """Return ``value`` as text, "none" where there is nothing, and not at any length."""
    if value in (None, "", []):
        return "none"
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def how_to_resume(run: Path) -> str:
    """Return the command that goes on with the run in the folder ``run``."""
    return f"go on with: attncompare train --resume {shlex.quote(str(run))}"


def how_to_upload(run: Path) -> str:
    """Return the command that shows the run in the folder ``run`` in W&B."""
    return f"its record is whole; send it with: attncompare upload {shlex.quote(str(run))}"
