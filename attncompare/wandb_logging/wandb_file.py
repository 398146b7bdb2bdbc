"""The ``.wandb`` file of a run: its records, as W&B's own tool reads them, or a refusal where it is not whole.

Each record stands in the file with a checksum and in the order of its number. The tool passes over what is damaged and
says so beside; here nothing is passed over, because half a record would be held against a whole run.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attncompare.errors import Refused

_SLOW = 300  # seconds until the tool must have read a file
_NAME = "wandb leet inspect: "
_GOES_ON = "reached the end of an incomplete"


def records(file: Path, seconds: float = _SLOW) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield kind and content of each record of ``file``, in order. The last one of a run that has ended is ``exit``.

    Args:
        file: what W&B wrote, offline or online.
        seconds: until its tool must have read it.

    Raises:
        Refused: if it is no such file, or anything in it is not as it was written.
    """
    from wandb.util import get_core_path

    command = [get_core_path(), "leet", "inspect", "--no-observability", "--json", "--run-file", str(file.absolute())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        numbers, kinds = [record["num"] for record in found], [record["type"] for record in found]
    except subprocess.CalledProcessError as error:
        raise Refused(f"{file}: not readable as an offline run of W&B ({first_line(error.stderr)})") from None
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{file}: not readable as an offline run of W&B ({first_line(error)})") from None
    if problem := _damage(numbers, kinds, done.stderr):
        raise Refused(f"{file}: damaged ({problem})")
    for record, kind in zip(found, kinds, strict=True):
        content = record.get(kind)
        if isinstance(content, dict):
            yield kind, content


def first_line(error: object) -> str:
    """Return the first line of what ``error`` says, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _damage(numbers: list[Any], kinds: list[Any], said: str) -> str | None:
    """Return what is wrong with records of these numbers and kinds, of which the tool said something, if anything."""
    missing = next((want for want, number in enumerate(numbers, 1) if number != want), None)
    if missing is not None:
        return f"record {missing} is missing"
    ended = "exit" in kinds
    for line in said.splitlines():
        # While a run goes on, a record may be half written.
        if line.startswith(_NAME) and (ended or _GOES_ON not in line):
            return line.removeprefix(_NAME)
    if ended and kinds[-1] != "exit":
        return "it goes on behind its end"
    return None
