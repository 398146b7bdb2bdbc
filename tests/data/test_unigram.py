"""The unigram model's sums over all ways to cut a word, against an enumeration of them, and what it keeps."""

import itertools
import math

import numpy as np
import pytest

from attncompare.data.unigram import _Lattice, train_unigram

PIECES = ["a", "b", "ab", "ba", "aba", "bb"]
NUMBER_OF = {piece: number for number, piece in enumerate(PIECES)}
WORDS = ["a", "ab", "abab", "babba", "bb"]
COUNTS = np.array([3, 1, 4, 1, 5])
PROBABILITY = np.array([0.1, 0.2, 0.3, 0.05, 0.15, 0.2])


def cuts(word):
    """Return every way to cut ``word`` into pieces."""
    found = []
    for places in itertools.product((False, True), repeat=len(word) - 1):
        bounds = [0, *(place + 1 for place, cut in enumerate(places) if cut), len(word)]
        pieces = [word[start:end] for start, end in itertools.pairwise(bounds)]
        if all(piece in NUMBER_OF for piece in pieces):
            found.append([NUMBER_OF[piece] for piece in pieces])
    return found


def likelihood(cut):
    return math.prod(PROBABILITY[number] for number in cut)


def test_likelihood_and_expectation_are_sums_over_all_ways_to_cut():
    lattice = _Lattice(WORDS, NUMBER_OF)
    totals = [sum(map(likelihood, cuts(word))) for word in WORDS]
    assert lattice.likelihoods(PROBABILITY) == pytest.approx(totals)
    expected = np.zeros(len(PIECES))
    for word, count, total in zip(WORDS, COUNTS, totals, strict=True):
        for cut in cuts(word):
            for number in cut:
                expected[number] += count * likelihood(cut) / total
    assert lattice.expected(PROBABILITY, COUNTS) == pytest.approx(expected)


def test_a_piece_that_is_gone_is_in_no_way_to_cut():
    lattice = _Lattice(WORDS, NUMBER_OF)
    lattice.keep(np.array([True, True, False, True, True, True]))
    without = [sum(likelihood(cut) for cut in cuts(word) if NUMBER_OF["ab"] not in cut) for word in WORDS]
    assert lattice.likelihoods(PROBABILITY) == pytest.approx(without)


def test_what_a_piece_could_be_cut_into_leaves_itself_out():
    found = _Lattice(PIECES, NUMBER_OF, whole=False).likelihoods(PROBABILITY)
    by_hand = [sum(likelihood(cut) for cut in cuts(piece) if len(cut) > 1) for piece in PIECES]
    assert found == pytest.approx(by_hand)


def test_what_comes_often_becomes_a_piece_and_letters_stay():
    words = ["▁the", "▁then", "▁other", "▁cat", "▁x"]
    counts = np.array([500, 200, 100, 3, 1])
    pieces = dict(train_unigram(words, counts, ["q"], 14, 1))
    letters = set("".join(words)) | {"q"}
    assert len(pieces) == 14 and letters <= pieces.keys() and "▁the" in pieces
    assert sum(math.exp(score) for score in pieces.values()) == pytest.approx(1)
    assert list(pieces.values()) == sorted(pieces.values(), reverse=True)
    assert "▁cat" in dict(train_unigram(words, counts, [], 1000, 3))
    assert "▁cat" not in dict(train_unigram(words, counts, [], 1000, 4))
