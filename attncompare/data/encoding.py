"""From the text of a split to flat arrays of ids: once, part by part, by all cores.

The tokenizer's library encodes the texts of a part side by side, in as many threads as this process may use cores.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from attncompare.data.offsets import overlaps, token_bytes
from attncompare.data.pieces import at_a_time, pieces
from attncompare.data.token_arrays import Arrays
from attncompare.data.tokenizer import BOS, EOS, Encoded, Tokenizer

Spans = Sequence[Sequence[int]]  # [start, end] of characters


def encode_lines(lines: Iterable[str], tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield ``ids`` and ``ends`` of ``lines``, part by part, without special tokens."""
    end = 0
    yield _part(tokenizer, [], [])
    for texts in at_a_time(lines):
        rows = tokenizer.encode_ids(texts)
        part = _part(tokenizer, rows, [])
        part["ends"] += end
        end += len(part["ids"])
        yield part


def encode_rows(rows: Iterable[tuple[str, Spans | None]], tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield the same of rows with the spans that count, and of each token ``bytes`` and whether it is ``scored``.

    Args:
        rows: a text and its spans of characters that count; None: all do.
        tokenizer: cuts the texts.
    """
    end = 0
    yield {**_part(tokenizer, [], [[]]), "scored": np.zeros(0, dtype=np.uint8)}
    for texts, spans in _rows_at_a_time(rows):
        encoded = tokenizer.encode_batch(texts)
        sizes = [token_bytes(text, tokens.offsets) for text, tokens in zip(texts, encoded, strict=True)]
        part = _part(tokenizer, [tokens.ids for tokens in encoded], sizes)
        part["ends"] += end
        end += len(part["ids"])
        scored = [_scored(*row) for row in zip(texts, encoded, spans, strict=True)]
        yield {**part, "scored": np.concatenate(scored)}


def encode_stream(documents: Iterable[str], tokenizer: Tokenizer) -> Iterator[Arrays]:
    """Yield ``ids`` and ``bytes`` of BOS, document, EOS, document, EOS, ..., and where each document ends (its EOS is in).

    A long document is cut where the tokenizer cuts anyway, so that no part is large and the tokens are the same.
    """
    yield {**_part(tokenizer, [[BOS]], [[0]]), "ends": np.zeros(0, dtype=np.int64)}
    end = 1
    for group in at_a_time(pieces(documents), size=lambda piece: len(piece[0])):
        encoded = tokenizer.encode_batch([text for text, _ in group])
        ids, sizes, ends = [], [], []
        for (text, last), tokens in zip(group, encoded, strict=True):
            ids.append([*tokens.ids, EOS] if last else tokens.ids)
            sizes.append([*token_bytes(text, tokens.offsets), *([0] if last else [])])
            end += len(ids[-1])
            ends += [end] if last else []
        yield {**_part(tokenizer, ids, sizes), "ends": np.array(ends, dtype=np.int64)}


def _part(tokenizer: Tokenizer, ids: Sequence[Sequence[int]], sizes: Sequence[Sequence[int] | np.ndarray]) -> Arrays:
    kind = np.uint16 if tokenizer.vocab_size <= 2**16 else np.int32
    flat = np.fromiter(chain.from_iterable(ids), dtype=kind)
    found = {"ids": flat, "ends": np.cumsum([len(row) for row in ids], dtype=np.int64)}
    return {**found, "bytes": np.fromiter(chain.from_iterable(sizes), dtype=np.int32)} if len(sizes) else found


def _rows_at_a_time(
    rows: Iterable[tuple[str, Spans | None]],
) -> Iterator[tuple[list[str], list[Spans | None]]]:
    for group in at_a_time(rows, size=lambda row: len(row[0])):
        yield [text for text, _ in group], [spans for _, spans in group]


def _scored(text: str, tokens: Encoded, spans: Spans | None) -> np.ndarray:
    if spans is None:
        return np.ones(len(tokens.ids), dtype=np.uint8)
    counts = (any(overlaps(text, offset, start, end) for start, end in spans) for offset in tokens.offsets)
    return np.fromiter(counts, dtype=np.uint8, count=len(tokens.offsets))
