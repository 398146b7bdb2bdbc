"""Test items with the answers of all variants beside each other, and where each answer departs from the reference."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from attncompare.compare.groups import Comparison, Variant
from attncompare.record import Run

_MOST_SAMPLES = 12
_LEAST_COMMON = 0.4  # of words; with fewer in common, an answer is not marked word by word
_LONGEST = 400  # characters of a text on the page; more is cut, and the cut is marked
_MOST_COMPARED = 4_000  # characters that are compared word by word: the time grows with their square


@dataclass(frozen=True)
class Piece:
    """A run of words: ``same`` in answer and reference, ``added`` by the answer, or ``missing`` from it."""

    kind: Literal["same", "added", "missing"]
    text: str


@dataclass(frozen=True)
class Answer:
    """What one variant said (None where its record lacks it), and the same in pieces beside the reference.

    ``right`` is whether all of it is the reference; ``text`` and ``pieces`` are cut.
    """

    variant: Variant
    text: str | None
    right: bool
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Sample:
    """One test item: what was given, and each variant's answer."""

    given: dict[str, str]
    answers: tuple[Answer, ...]


def samples(comparison: Comparison) -> list[Sample]:
    """Return test items with the answers of every variant's first seed.

    Of each row of ``predictions.jsonl`` the last text is the answer; those before it were given. Those items come first on
    which variants disagree, and among them those that some get right: they tell variants apart.
    """
    variants = comparison.ranked
    rows = [_rows(variant.runs[0]) for variant in variants]
    found = []
    for number in dict.fromkeys(number for by_id in rows for number in by_id):
        given = next(by_id[number][0] for by_id in rows if number in by_id)
        found.append((given, [by_id[number][1] if number in by_id else None for by_id in rows]))
    found.sort(key=lambda item: (len(set(item[1])) == 1, item[0].get("reference") not in item[1]))
    return [
        Sample(
            {key: _cut(text) for key, text in given.items()},
            tuple(_answer(one, text, given.get("reference")) for one, text in zip(variants, texts, strict=True)),
        )
        for given, texts in found[:_MOST_SAMPLES]
    ]


def _rows(run: Run) -> dict[str, tuple[dict[str, str], str]]:
    """Return by id what was given and what was answered."""
    found = {}
    for row in run.predictions():
        texts = [(key, text) for key, text in row.items() if isinstance(text, str)]
        if texts:
            found[str(row.get("id"))] = (dict(texts[:-1]), texts[-1][1])
    return found


def _answer(variant: Variant, text: str | None, reference: str | None) -> Answer:
    if text is None:
        return Answer(variant, None, False, ())
    if reference is None:
        return Answer(variant, _cut(text), False, (Piece("same", _cut(text)),))
    pieces, left = [], _LONGEST
    for piece in difference(text[:_MOST_COMPARED], reference[:_MOST_COMPARED]):
        if len(piece.text) > left:
            pieces.append(Piece(piece.kind, f"{piece.text[:left]}…"))
            break
        pieces.append(piece)
        left -= len(piece.text)
    return Answer(variant, _cut(text), text == reference, tuple(pieces))


def difference(answer: str, reference: str) -> tuple[Piece, ...]:
    """Return ``answer`` in pieces, with what it adds to ``reference`` and what it lacks.

    Words are compared; characters where the reference is one word. An answer with little of the reference in it is
    one added piece: marks on every word would only hide it.
    """
    # Words, punctuation marks and the spaces between them; joined they are the text again.
    pattern = r"\s+|\w+|[^\w\s]" if len(reference.split()) > 1 else r"(?s)."
    theirs, ours = (re.findall(pattern, text) for text in (reference, answer))
    matcher = SequenceMatcher(None, theirs, ours, autojunk=False)
    common = [word for block in matcher.get_matching_blocks() for word in ours[block.b : block.b + block.size]]
    counts = [sum(not word.isspace() for word in words) for words in (common, theirs, ours)]
    if answer and reference and 2 * counts[0] < _LEAST_COMMON * (counts[1] + counts[2]):
        return (Piece("added", answer),)
    pieces: list[Piece] = []
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", "".join(ours[j1:j2])))
            continue
        if i2 > i1:
            pieces.append(Piece("missing", "".join(theirs[i1:i2])))
        if j2 > j1:
            pieces.append(Piece("added", "".join(ours[j1:j2])))
    return tuple(pieces)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
