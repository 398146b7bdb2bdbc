"""Sentences from a file or standard input, one a line, checked as bytes; and answers that stay in their lines."""

import io
import stat
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from attncompare.errors import Refused

_LONGEST = 2**20  # bytes of a line
_BATCH = 512  # lines; enough of each length for full batches


def sentence_batches(file: Path | None) -> Iterator[list[str]]:
    """Yield the lines of ``file``, None: of standard input, without their ends (LF or CRLF), some hundred at a time.

    A file is read and checked as a whole before its first lines are given. From a terminal each line comes at once.

    Raises:
        Refused: if the file cannot be read, or a line is not UTF-8, holds a NUL or is longer than a mebibyte.
    """
    if file is None:
        stream: IO[bytes] = sys.stdin.buffer if sys.stdin is not None else io.BytesIO()
        yield from _batches(_checked(stream, "standard input"), 1 if stream.isatty() else _BATCH)
        return
    try:
        with file.open("rb") as stream:
            if stat.S_ISREG(file.stat().st_mode):  # a pipe can be read only once
                for _ in _checked(stream, str(file)):
                    pass
                stream.seek(0)
            yield from _batches(_checked(stream, str(file)), _BATCH)
    except OSError as error:
        raise Refused(f"{file}: cannot be read ({error.strerror})") from None


def one_line(text: str) -> str:
    """Return ``text`` with a space for each tab, line end or other control character."""
    return "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in text)


def harmless(text: str) -> str:
    """Return ``text`` with its lines and tabs, and a question mark for each other control character."""
    return "".join("?" if unicodedata.category(char) == "Cc" and char not in "\n\t" else char for char in text)


def _checked(stream: IO[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: stream.readline(_LONGEST + 1), b""), start=1):
        where = f"{name}, line {number}"
        if len(line) > _LONGEST:
            raise Refused(f"{where}: longer than {_LONGEST} bytes; this is no sentence")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            byte = f"byte {error.start + 1} of the line is 0x{error.object[error.start]:02x}"
            raise Refused(f"{where}: not UTF-8 ({byte})") from None
        if "\0" in text:
            raise Refused(f"{where}: a NUL byte; this is no text")
        yield text.removesuffix("\n").removesuffix("\r")


def _batches(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
