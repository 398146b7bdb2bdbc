"""The fixed examples from val on which attention maps are drawn, with gold alignments where they are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attncompare.data.corpus import Corpus
from attncompare.data.sets import PairSet, RowSet, StreamSet
from attncompare.data.tokenizer import Offset, Tokenizer, overlaps

Span = Sequence[int]  # start, end, field
_WINDOW = 24  # tokens of a stream: what a map shows well
_MODERATE = range(6, 21)  # tokens of a side, EOS or BOS included
_FIELDS = 3  # aligned fields that make a map worth looking at


@dataclass(frozen=True)
class Probe:
    """One example. The decoder reads ``target_ids[:-1]``; its position t predicts ``target_ids[t + 1]``.

    Attributes:
        source_ids: the source's tokens and EOS; None for text.
        target_ids: BOS, the target's tokens and EOS; for text, the tokens as they stand in their window.
        sure_TS: gold alignment, boolean: row t is the position that predicts ``target_ids[t + 1]``, column s is
            ``source_ids[s]``. True where a field is one token on both sides, and for EOS. None where no alignment is
            known.
        possible_TS: likewise, True wherever both tokens lie in the same field (Och and Ney 2003, section 2).
    """

    source_ids: list[int] | None
    target_ids: list[int]
    sure_TS: np.ndarray | None
    possible_TS: np.ndarray | None


def pair_probes(corpus: Corpus, pairs: PairSet, tokenizers: tuple[Tokenizer, Tokenizer], count: int) -> list[Probe]:
    """Return ``count`` rows of val that are of moderate length and, where fields are known, hold several.

    First come those whose fields stand in another order on the other side, where attention has to jump.

    Args:
        corpus: the text of ``pairs``, its val split.
        pairs: encoded.
        tokenizers: of source and target.
        count: how many.
    """
    val = corpus.splits["val"]
    aligned = "source_spans" in val.column_names
    columns = val[:]

    def worth(row: int) -> bool:
        moderate = len(pairs.source[row]) in _MODERATE and len(pairs.target[row]) - 1 in _MODERATE
        return moderate and (not aligned or len({field for *_, field in columns["source_spans"][row]}) >= _FIELDS)

    def crosses(row: int) -> bool:
        sides = (columns["source_spans"][row], columns["target_spans"][row]) if aligned else ((), ())
        source, target = (list(dict.fromkeys(field for *_, field in sorted(side))) for side in sides)
        return source != [field for field in target if field in source]

    # Sorting is stable: in order among equals.
    rows = sorted(pairs.kept.tolist(), key=lambda row: (not worth(row), not crosses(row)))[:count]
    probes = []
    for row in rows:
        source, target = pairs.source[row].tolist(), pairs.target[row].tolist()
        gold: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
        if aligned:
            text = columns["source"][row], columns["target"][row]
            spans = columns["source_spans"][row], columns["target_spans"][row]
            gold = _gold(text, spans, tokenizers, len(target) - 1, len(source))
        probes.append(Probe(source, target, *gold))
    return probes


def text_probes(texts: StreamSet | RowSet, count: int) -> list[Probe]:
    """Return ``count`` beginnings of windows, spread over val; where rows stand for themselves, the first, whole."""
    if isinstance(texts, RowSet):
        return [Probe(None, texts.ids[row].tolist(), None, None) for row in texts.kept[:count].tolist()]
    starts = texts.disjoint_starts[:: max(1, len(texts) // max(1, count))][:count]
    length = min(_WINDOW, texts.max_length)
    return [Probe(None, texts.ids[start : start + length + 1].tolist(), None, None) for start in starts]


def _gold(
    text: tuple[str, str],
    spans: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]],
    tokenizers: tuple[Tokenizer, Tokenizer],
    target_length: int,
    source_length: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return sure and possible alignments of a pair that may have been cut to these lengths, EOS included."""
    offsets = tokenizers[0].encode(text[0]).offsets, tokenizers[1].encode(text[1]).offsets
    gold = []
    for tokens in align(text, spans, offsets):
        matrix_TS = np.zeros((target_length, source_length), dtype=bool)
        matrix_TS[:-1, :-1] = tokens[: target_length - 1, : source_length - 1]
        matrix_TS[-1, -1] = True
        gold.append(matrix_TS)
    return gold[0], gold[1]


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
