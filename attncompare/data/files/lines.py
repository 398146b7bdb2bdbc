"""Text files as bytes: opened, and checked line by line or whole, without ever being held in memory."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from attncompare.errors import Refused

_LONGEST = 2**20  # bytes of a sentence
_BLOCK = 2**20  # bytes that are read at once


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, unpacked where its name ends in ``.gz``.

    Raises:
        Refused: also later, while it is read: if it is missing, no plain file, or no whole gzip file.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise Refused(f"{path}: no plain file")
        file = cast(BinaryIO, gzip.open(path, "rb")) if path.name.endswith(".gz") else path.open("rb")  # noqa: SIM115
        with file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(f"{path}: not a whole gzip file: {error}") from None
    except OSError as error:
        raise Refused(f"{path}: cannot read: {error.strerror}") from None


def count_lines(path: Path, keep_empty: bool = False) -> int:
    """Return the number of lines, which end in LF or CRLF, reading the file once and never whole.

    Raises:
        Refused: if the file cannot be read, is empty, not UTF-8, or holds a blank line (unless ``keep_empty``), a line
            beyond a mebibyte, a NUL byte or a stray carriage return.
    """
    count = 0
    for line_number, lines in blocks(path, _LONGEST):
        if not _clean(lines, keep_empty):
            for offset, line in enumerate(lines):
                _check(line, f"{path}, line {line_number + offset}", keep_empty)
        count += len(lines)
    if count == 0:
        raise Refused(f"{path} is empty; it must hold one sentence a line")
    return count


def blocks(path: Path, longest: int) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the lines of a file, without their LF, in lists of about a mebibyte, each with the number of its first line.

    Raises:
        Refused: if the file cannot be read, or a line is beyond ``longest`` bytes.
    """
    number = 1
    with opened(path) as file:
        while block := file.read(_BLOCK):
            block += file.readline(longest + 1)
            lines = block.split(b"\n")
            if not lines[-1]:
                lines.pop()
            for offset, line in enumerate(lines):
                if len(line) >= longest:
                    raise Refused(f"{path}, line {number + offset}: longer than {longest} bytes")
            yield number, lines
            number += len(lines)


def check_whole(path: Path, largest: int) -> None:
    """Check a text file that is read as one piece, in which lines end in LF or CRLF.

    Raises:
        Refused: if it cannot be read, is blank, not UTF-8, beyond ``largest`` bytes, or holds a NUL byte or a stray
            carriage return.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    size, blank, held = 0, True, ""
    with opened(path) as file:
        while block := file.read(_BLOCK):
            text = held + _decoded(decoder, block, path, size)
            size += len(block)
            if size > largest:
                raise Refused(f"{path}: beyond {largest} bytes; as one document it must fit memory: cut it into files")
            held = "\r" if text.endswith("\r") else ""  # its LF may begin the next block
            check_text(text.removesuffix("\r"), str(path))
            blank = blank and not text.strip("\ufeff \t\r\n")
    _decoded(decoder, b"", path, size, final=True)
    if held:
        raise Refused(f"{path}: {_STRAY}")
    if blank:
        raise Refused(f"{path} is empty")


_STRAY = "a carriage return inside a line; lines must end in LF or CRLF"


def check_text(text: str, where: str) -> None:
    """Refuse what no text holds: a NUL, or a carriage return that ends no line.

    Other readers take a carriage return for the end of a line, and every later row would be shifted by one.
    """
    if "\0" in text:
        raise Refused(f"{where}: a NUL byte; this is no text file")
    if "\r" in text and "\r" in text.replace("\r\n", "\n"):
        raise Refused(f"{where}: {_STRAY}")


def _decoded(decoder: codecs.IncrementalDecoder, block: bytes, path: Path, before: int, final: bool = False) -> str:
    try:
        return decoder.decode(block, final)
    except UnicodeDecodeError as error:
        raise Refused(f"{path}: not UTF-8 (near byte {before + error.start + 1})") from None


def _clean(lines: list[bytes], keep_empty: bool) -> bool:
    """Return whether a whole block has nothing wrong, which is many times faster than asking line by line."""
    try:
        text = b"\n".join(lines).decode()
    except UnicodeDecodeError:
        return False
    return "\0" not in text and "\r" not in text and (keep_empty or all(map(str.strip, text.split("\n"))))


def _check(line: bytes, where: str, keep_empty: bool) -> None:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"{where}: not UTF-8 (byte {error.start + 1} of the line is 0x{line[error.start]:02x})") from None
    check_text(f"{text}\n", where)
    if not keep_empty and not text.strip():
        raise Refused(f"{where}: blank; remove the line here and in the other language, or set data.keep_empty=true")
