"""Kinds of arguments on the command line, and what is wrong with those that are none."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def given(text: str) -> str:
    """Return ``text``; nothing at all would silently stand for the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def path(text: str) -> Path:
    """Return ``text`` as a path that the system can look for."""
    where = Path(given(text))
    try:
        where.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # the command says what it wants there
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    return where


def positive(text: str) -> int:
    """Return ``text`` as a positive whole number."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text}: must be a positive whole number")
    return int(text)


def several(kind: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Return the kind of an argument that is one or more of ``kind`` between commas."""

    def read(text: str) -> tuple[T, ...]:
        return tuple(dict.fromkeys(kind(given(word.strip())) for word in text.split(",")))

    return read
