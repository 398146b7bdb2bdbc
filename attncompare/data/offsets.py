"""What the character offsets of tokens tell: which characters and how many bytes each token shows."""

from collections.abc import Sequence

import numpy as np

Offset = tuple[int, int]


def overlaps(text: str, offset: Offset, start: int, end: int) -> bool:
    """Tell whether a token at ``offset`` shows any character of ``text[start:end]``, its outer space left out.

    So " March" shows "March" and not the space before it; a token that is all space shows that space.
    """
    first, last = offset
    token = text[first:last]
    if token.strip():
        first, last = last - len(token.lstrip()), first + len(token.rstrip())
    return first < end and start < last


def token_bytes(text: str, offsets: Sequence[Offset]) -> np.ndarray:
    """Return how many UTF-8 bytes of ``text`` each token shows, int64.

    A character that several tokens share (byte-level BPE may cut it) counts at the first, so that the sum is that of
    the text.
    """
    code_points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    sizes = 1 + (code_points > 0x7F).astype(np.int64) + (code_points > 0x7FF) + (code_points > 0xFFFF)
    before = np.concatenate([[0], np.cumsum(sizes)])  # bytes before each character
    ends = np.maximum.accumulate(np.array([0, *(end for _, end in offsets)], dtype=np.int64))
    return np.diff(before[ends])
