"""Texts in portions that memory does not feel, however long they are."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

_PORTION = 2**18  # characters that are encoded at a time
_PIECE = 2**15  # characters of a piece of a long document
_MOST = 10_000  # texts in a portion
# Every kind of tokenizer cuts between a character and the space or line end after it (tokenizer.py).
_CUT = re.compile(r"(?<=\S)(?=[ \n])")

Item = TypeVar("Item")


def at_a_time(items: Iterable[Item], size: Callable[[Any], int] = len) -> Iterator[list[Item]]:
    """Yield ``items`` in order, in lists whose sizes together stay near a portion."""
    portion: list[Item] = []
    room = _PORTION
    for item in items:
        portion.append(item)
        room -= size(item)
        if room <= 0 or len(portion) == _MOST:
            yield portion
            portion, room = [], _PORTION
    if portion:
        yield portion


def pieces(documents: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of each document, and whether a piece is its last; a short document is one piece."""
    for document in documents:
        start = 0
        while len(document) - start > _PIECE and (cut := _CUT.search(document, start + _PIECE)):
            yield document[start : cut.start()], False
            start = cut.start()
        yield document[start:], True
