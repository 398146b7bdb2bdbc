"""From aligned characters to aligned tokens."""

from collections.abc import Sequence

import numpy as np

from attncompare.data.offsets import Offset, overlaps

Span = Sequence[int]  # start, end, field


def align(
    text: tuple[str, str],
    spans: tuple[Sequence[Span], Sequence[Span]],
    offsets: tuple[Sequence[Offset], Sequence[Offset]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return which target tokens (rows) say what which source tokens (columns) say.

    Arguments are pairs: source, target. The space that a token carries does not count, so that " March" lies in the
        field of "March".

    Returns:
        (sure, possible): boolean, (target tokens, source tokens). Possible: in the same field. Sure: in the same field,
        and the field is a single token on both sides (the kinds of Och and Ney 2003, section 2; here by rule and not by
        annotators).
    """
    source, target = (_fields(*side) for side in zip(text, spans, offsets, strict=True))
    sure = np.zeros((len(target), len(source)), dtype=bool)
    possible = np.zeros_like(sure)
    for field in set().union(*source) & set().union(*target):
        rows = [t for t, fields in enumerate(target) if field in fields]
        columns = [s for s, fields in enumerate(source) if field in fields]
        possible[np.ix_(rows, columns)] = True
        if len(rows) == len(columns) == 1:
            sure[rows[0], columns[0]] = True
    return sure, possible


def _fields(text: str, spans: Sequence[Span], offsets: Sequence[Offset]) -> list[set[int]]:
    return [{field for start, end, field in spans if overlaps(text, offset, start, end)} for offset in offsets]
