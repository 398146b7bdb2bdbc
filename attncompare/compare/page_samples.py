"""Test items with the answers of all variants beside each other, and where each answer departs from the reference."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from attncompare.compare.groups import Comparison, Variant
from attncompare.record import Run

_GIVEN = ("source", "reference", "prompt")  # what every variant was given or asked for
_ANSWER = {"translation": "prediction", "language_model": "continuation"}
_MOST_SAMPLES = 12
_LEAST_ALIKE = 0.4  # of words in common; with fewer, an answer is not marked word by word
_LONGEST = 400  # characters of a text on the page; more is cut, and the cut is marked
_MOST_COMPARED = 4_000  # characters that are compared word by word: the time grows with their square

Kind = Literal["same", "added", "missing"]


@dataclass(frozen=True)
class Piece:
    """A run of words: ``same`` in answer and reference, ``added`` by the answer, or ``missing`` from it."""

    kind: Kind
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

    Those come first on which variants disagree, and among them those that some get right: they tell variants apart.
    """
    variants = comparison.ranked
    rows = [_rows(variant.runs[0]) for variant in variants]
    found = []
    for number in dict.fromkeys(number for by_id in rows for number in by_id):
        some = next(by_id[number] for by_id in rows if number in by_id)
        given = {key: some[key] for key in _GIVEN if key in some}
        texts = [by_id[number].get(_ANSWER[comparison.task]) if number in by_id else None for by_id in rows]
        found.append((given, texts))
    found.sort(key=_order)
    return [_sample(given, variants, texts) for given, texts in found[:_MOST_SAMPLES]]


def difference(answer: str, reference: str) -> tuple[Piece, ...]:
    """Return ``answer`` in pieces, with what it adds to ``reference`` and what it lacks.

    Words are compared; characters where the reference is one word. An answer with little of the reference in it is
    one added piece: marks on every word would only hide it.
    """
    theirs, ours = (_words(text) if len(reference.split()) > 1 else list(text) for text in (reference, answer))
    matcher = SequenceMatcher(None, theirs, ours, autojunk=False)
    if answer and reference and _alike(matcher, theirs, ours) < _LEAST_ALIKE:
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


def _alike(matcher: SequenceMatcher[str], theirs: Sequence[str], ours: Sequence[str]) -> float:
    """Return the share of words in common, spaces aside, from 0 to 1."""

    def count(words: Sequence[str]) -> int:
        return sum(not word.isspace() for word in words)

    common = sum(count(ours[block.b : block.b + block.size]) for block in matcher.get_matching_blocks())
    return 2 * common / max(count(theirs) + count(ours), 1)


def _rows(run: Run) -> dict[Any, dict[str, str]]:
    """Return the record's rows by id, each with its texts alone."""
    return {
        str(row.get("id")): {key: text for key, text in row.items() if isinstance(text, str)}
        for row in run.predictions()
    }


def _order(item: tuple[dict[str, str], list[str | None]]) -> tuple[bool, bool]:
    given, texts = item
    return len(set(texts)) == 1, given.get("reference") not in texts


def _sample(given: dict[str, str], variants: Sequence[Variant], texts: list[str | None]) -> Sample:
    return Sample(
        {key: _cut(text) for key, text in given.items()},
        tuple(_answer(variant, text, given.get("reference")) for variant, text in zip(variants, texts, strict=True)),
    )


def _answer(variant: Variant, text: str | None, reference: str | None) -> Answer:
    if text is None:
        return Answer(variant, None, False, ())
    if reference is None:
        return Answer(variant, _cut(text), False, (Piece("same", _cut(text)),))
    pieces = difference(text[:_MOST_COMPARED], reference[:_MOST_COMPARED])
    return Answer(variant, _cut(text), text == reference, _cut_pieces(pieces))


def _words(text: str) -> list[str]:
    """Return words, punctuation marks and the spaces between them; joined they are ``text`` again."""
    return re.findall(r"\s+|\w+|[^\w\s]", text)


def _cut_pieces(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Return the first pieces, as much of them as a text on the page may be long; the cut is marked."""
    kept: list[Piece] = []
    left = _LONGEST
    for piece in pieces:
        if len(piece.text) > left:
            return (*kept, Piece(piece.kind, f"{piece.text[:left]}…"))
        kept.append(piece)
        left -= len(piece.text)
    return tuple(kept)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
