"""What a model must beat to have learned something: a character trigram model, and a memory of the training pairs."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy.sparse.linalg

END = "\x03"  # put after each document: predicted like any character, but no byte of the text
_HELD_OUT = 10  # every tenth piece of train fits the weights
_PIECE = 2000  # characters in a piece
_ROUNDS = 30


def trigram_bits_per_byte(train_text: str, test_text: str) -> float:
    """Return the bits per UTF-8 byte that an interpolated character trigram model needs for ``test_text``.

    Jelinek-Mercer: a mixture of trigram, bigram, unigram and uniform estimates, with weights that depend on how often
    the history was seen, fitted by expectation maximization on a tenth of train that the counts of that fit leave out;
    then counted on all of it.
    """
    size = min(_PIECE, math.ceil(len(train_text) / (2 * _HELD_OUT)))
    pieces = [train_text[i : i + size] for i in range(0, len(train_text), size)]
    held_out = [piece for i, piece in enumerate(pieces) if i % _HELD_OUT == 0]
    counted = [piece for i, piece in enumerate(pieces) if i % _HELD_OUT]
    symbols = len(set(train_text)) + 1  # one for all that train does not show
    weights = _fit(_estimates(counted, held_out, symbols))
    estimates, buckets = _estimates([train_text], [test_text], symbols)
    mixed = (estimates * weights[buckets]).sum(axis=1)
    return float(-np.log2(mixed).sum()) / len(test_text.replace(END, "").encode())


def _estimates(train: Sequence[str], texts: Sequence[str], symbols: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each character of ``texts`` its four estimates (N, 4), and the bucket of its history (N,)."""
    counts = [Counter(text[i : i + n] for text in train for i in range(len(text) - n + 1)) for n in (1, 2, 3)]
    total = sum(counts[0].values())
    rows, buckets = [], []
    for text in texts:
        padded = END * 2 + text
        for i in range(2, len(padded)):
            pair, one, last = padded[i - 2 : i], padded[i - 1], padded[i]
            seen, seen_one = counts[1][pair], counts[0][one]
            rows.append(
                (
                    counts[2][pair + last] / seen if seen else 0.0,
                    counts[1][one + last] / seen_one if seen_one else 0.0,
                    counts[0][last] / total,
                    1 / symbols,
                )
            )
            buckets.append(min(int(math.log2(seen + 1)), 15))
    return np.array(rows), np.array(buckets)


def _fit(held_out: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return mixture weights (16 buckets, 4) by expectation maximization."""
    estimates, buckets = held_out
    weights = np.full((16, 4), 0.25)
    for _ in range(_ROUNDS):
        parts = estimates * weights[buckets]
        parts /= parts.sum(axis=1, keepdims=True)
        for bucket in np.unique(buckets):
            weights[bucket] = parts[buckets == bucket].mean(axis=0)
    return weights * (1 - 1e-6) + 1e-6 / 4  # never zero for what held-out text happened not to need


def nearest_neighbour(train_pairs: Sequence[tuple[str, str]], sources: Sequence[str]) -> list[str]:
    """Return for each source the target of the most similar training source.

    Similar: the cosine of TF-IDF over 1- to 4-grams of characters.
    """
    grams = [Counter(_grams(source)) for source, _ in train_pairs]
    documents = Counter(gram for counts in grams for gram in counts)
    index = {gram: i for i, gram in enumerate(documents)}
    idf = np.array([math.log((1 + len(grams)) / (1 + count)) + 1 for count in documents.values()])
    known, asked = _matrix(grams, index, idf), _matrix([Counter(_grams(source)) for source in sources], index, idf)
    return [train_pairs[i][1] for i in (asked @ known.T).toarray().argmax(axis=1)]


def _grams(text: str) -> list[str]:
    framed = f"\x02{text}\x03"
    return [framed[i : i + n] for n in range(1, 5) for i in range(len(framed) - n + 1)]


def _matrix(grams: Sequence[Counter[str]], index: dict[str, int], idf: np.ndarray) -> scipy.sparse.csr_array:
    cells = [
        (row, index[gram], (1 + math.log(count)) * idf[index[gram]])
        for row, counts in enumerate(grams)
        for gram, count in counts.items()
        if gram in index
    ]
    rows, columns, values = zip(*cells, strict=True)
    matrix = scipy.sparse.csr_array((values, (rows, columns)), shape=(len(grams), len(index)))
    return scipy.sparse.diags_array(1 / scipy.sparse.linalg.norm(matrix, axis=1)) @ matrix
