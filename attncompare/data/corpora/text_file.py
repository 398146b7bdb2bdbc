"""Text files with one sentence a line: checked as bytes first, then read by the library ``datasets``."""

import glob
from pathlib import Path

import datasets

from attncompare.errors import Refused


def count_lines(path: Path) -> int:
    """Return the number of lines, which end in LF or CRLF, reading the file once and never whole.

    Raises:
        Refused: if the file is missing, empty, not UTF-8, or holds a blank line, a NUL byte or a stray carriage return.
    """
    count = 0
    try:
        with path.open("rb") as file:
            for count, line in enumerate(file, start=1):
                _check(line, f"{path}, line {count}")
    except OSError as error:
        raise Refused(f"{path}: cannot read: {error.strerror}") from None
    if count == 0:
        raise Refused(f"{path} is empty; it must hold one sentence a line")
    return count


def _check(line: bytes, where: str) -> None:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"{where}: not UTF-8 (byte {error.start + 1} of the line is 0x{line[error.start]:02x})") from None
    if "\0" in text:
        raise Refused(f"{where}: a NUL byte; this is no text file")
    if "\r" in text.removesuffix("\n").removesuffix("\r"):
        # Other readers take it for the end of a line, and every later pair would be shifted by one.
        raise Refused(f"{where}: a carriage return inside the line; lines must end in LF or CRLF")
    if not text.strip():
        raise Refused(f"{where}: blank; remove the line here and in the other language, or fill it")


def read_lines(path: Path) -> datasets.Dataset:
    """Return the lines of a checked file as column ``text``, memory-mapped from the cache of ``datasets``."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        # Not load_dataset("text", ...), the same reader, which tells the hub of every load.
        return datasets.Dataset.from_text(glob.escape(str(path)), encoding="utf-8-sig")
    finally:
        if shown:
            datasets.enable_progress_bars()
