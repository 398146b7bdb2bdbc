"""The vocabulary of a unigram language model (Kudo 2018, section 3.2), the same for the same words.

The trainer of ``tokenizers`` adds floating-point numbers in the order of a hash table that no seed decides, so that two
trainings give two vocabularies; here every sum has an order.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

LONGEST = 24
"""Characters of a word that are looked at together; with more, its probability could leave floating point."""

_LONGEST_PIECE = 16  # characters
_SEEDS = 10  # times as many pieces as are asked for to begin with
_ROUNDS = 2  # of expectation and maximization before each pruning
_SHARE = 0.75  # of the pieces that stay at each pruning
_SPARE = 1.1  # times as many as asked for at the last pruning
_FLOOR = 1e-3  # times that a piece is held to be seen at least, so that each stays possible
_TINY = np.finfo(np.float64).tiny


def train_unigram(
    words: Sequence[str], counts: np.ndarray, alphabet: Sequence[str], size: int, min_count: int
) -> list[tuple[str, float]]:
    """Return the pieces, the likeliest first, with the logarithms of their probabilities.

    Args:
        words: different ones, each at most :data:`LONGEST` characters long.
        counts: how often each comes.
        alphabet: characters that are pieces whatever happens; so are all those of ``words``.
        size: how many pieces at most; fewer only where the words have no more.
        min_count: pieces of several characters that are seen less often are not made.
    """
    letters = sorted({*alphabet, *(letter for word in words for letter in word)})
    seeds, weight = _seeds(words, counts, size, min_count)
    pieces = [*letters, *seeds]
    number_of = {piece: number for number, piece in enumerate(pieces)}
    in_words, in_pieces = Lattice(words, number_of), Lattice(pieces, number_of, whole=False)
    seen = np.concatenate([in_words.letters(counts, len(letters)), weight])
    alive = np.ones(len(pieces), dtype=bool)
    while True:
        for _ in range(_ROUNDS):
            seen = in_words.expected(_probabilities(seen, alive), counts)
        if alive.sum() <= max(size, len(letters)):
            break
        target = max(int(_SHARE * alive.sum()), size) if alive.sum() > _SPARE * size else size
        probability = _probabilities(seen, alive)
        # What the text would lose of its likelihood without each piece; letters stay.
        loss = seen * (
            np.log(np.maximum(probability, _TINY)) - np.log(np.maximum(in_pieces.likelihoods(probability), _TINY))
        )
        loss[: len(letters)] = np.inf
        loss[~alive] = -np.inf
        best = np.argsort(-loss, kind="stable")[: max(target, len(letters))]
        alive &= np.isin(np.arange(len(pieces)), best)
        in_words.keep(alive)
        in_pieces.keep(alive)
    score = np.log(np.where(alive, _probabilities(seen, alive), 1.0))
    order = sorted(np.flatnonzero(alive).tolist(), key=lambda number: (-score[number], pieces[number]))
    return [(pieces[number], float(score[number])) for number in order]


def _seeds(words: Sequence[str], counts: np.ndarray, size: int, min_count: int) -> tuple[list[str], np.ndarray]:
    """Return the substrings that cover most text, and how often each comes."""
    seen: Counter[str] = Counter()
    for word, count in zip(words, counts.tolist(), strict=True):
        for start in range(len(word) - 1):
            for end in range(start + 2, min(len(word), start + _LONGEST_PIECE) + 1):
                seen[word[start:end]] += count
    often = [(piece, count) for piece, count in seen.items() if count >= min_count]
    often.sort(key=lambda one: (-one[1] * len(one[0]), one[0]))
    chosen = often[: _SEEDS * size]
    return [piece for piece, _ in chosen], np.array([count for _, count in chosen], dtype=np.float64)


def _probabilities(seen: np.ndarray, alive: np.ndarray) -> np.ndarray:
    counts = np.where(alive, np.maximum(seen, _FLOOR), 0.0)
    return counts / counts.sum()


class Lattice:
    """All ways to cut texts into pieces: an edge wherever a piece stands in a text.

    Args:
        texts: what is cut.
        number_of: each piece with its number.
        whole: False: a text of several characters is no piece of itself.
    """

    def __init__(self, texts: Sequence[str], number_of: dict[str, int], whole: bool = True) -> None:
        edges: list[tuple[int, int, int, int]] = []
        for row, text in enumerate(texts):
            for start in range(len(text)):
                for end in range(start + 1, min(len(text), start + _LONGEST_PIECE) + 1):
                    number = number_of.get(text[start:end])
                    if number is not None and (whole or end - start < len(text)):
                        edges.append((row, start, end, number))
        self._edges = np.array(edges, dtype=np.int32).reshape(-1, 4)
        self._sizes = np.array([len(text) for text in texts])
        self._width = int(self._sizes.max(initial=0)) + 1
        self._by_start, self._by_end = self._groups(1), self._groups(2)

    def keep(self, alive: np.ndarray) -> None:
        """Drop the pieces that are not ``alive``."""
        self._edges = self._edges[alive[self._edges[:, 3]]]
        self._by_start, self._by_end = self._groups(1), self._groups(2)

    def letters(self, counts: np.ndarray, letters: int) -> np.ndarray:
        """Return how often each of the first pieces, the letters, comes."""
        single = self._edges[self._edges[:, 3] < letters]
        return np.bincount(single[:, 3], counts[single[:, 0]], letters)

    def likelihoods(self, probability: np.ndarray) -> np.ndarray:
        """Return the probability of each text, over all ways to cut it."""
        return self._forward(probability)[np.arange(len(self._sizes)), self._sizes]

    def expected(self, probability: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return how often each piece is expected, over all ways to cut the texts, which come ``counts`` times."""
        before, after = self._forward(probability), self._backward(probability)
        row, start, end, number = self._edges.T
        weight = counts / np.maximum(before[np.arange(len(self._sizes)), self._sizes], _TINY)
        share = before[row, start] * probability[number] * after[row, end] * weight[row]
        return np.bincount(number, share, len(probability))

    def _groups(self, column: int) -> list[np.ndarray]:
        """Return the edges that begin, or end, at each place."""
        edges = self._edges[np.argsort(self._edges[:, column], kind="stable")]
        bounds = np.searchsorted(edges[:, column], np.arange(self._width + 1))
        return [np.ascontiguousarray(edges[first:last].T) for first, last in pairwise(bounds)]

    def _forward(self, probability: np.ndarray) -> np.ndarray:
        reached = np.zeros((len(self._sizes), self._width))
        reached[:, 0] = 1.0
        for end in range(1, self._width):
            row, start, _, number = self._by_end[end]
            reached[:, end] = np.bincount(row, reached[row, start] * probability[number], len(self._sizes))
        return reached

    def _backward(self, probability: np.ndarray) -> np.ndarray:
        left = np.zeros((len(self._sizes), self._width))
        left[np.arange(len(self._sizes)), self._sizes] = 1.0
        for start in range(self._width - 2, -1, -1):
            row, _, end, number = self._by_start[start]
            left[:, start] += np.bincount(row, left[row, end] * probability[number], len(self._sizes))
        return left
