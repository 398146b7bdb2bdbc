"""The baselines themselves."""

import random

import pytest
from baselines import END, nearest_neighbour, trigram_bits_per_byte


def test_random_letters_cost_their_entropy():
    rng = random.Random(0)
    train, test = ("".join(rng.choices("abcd", k=n)) for n in (20_000, 4000))
    assert trigram_bits_per_byte(train, test) == pytest.approx(2.0, abs=0.02)


def test_what_three_characters_tell_is_free():
    assert trigram_bits_per_byte("abcd" * 2000, "abcd" * 100) < 0.05
    assert trigram_bits_per_byte("aab" * 2000, "aab" * 100) < 0.05  # needs two characters of history


def test_unseen_characters_are_costly_but_finite():
    assert 5 < trigram_bits_per_byte("ab" * 1000, "zz") < 40


def test_bytes_are_counted_and_ends_are_not():
    rng = random.Random(0)
    train, test = ("".join(rng.choices("äöüß", k=n)) for n in (20_000, 4000))
    assert trigram_bits_per_byte(train, test) == pytest.approx(1.0, abs=0.02)
    documents = [f"{letter}{END}" for letter in rng.choices("ab", k=6000)]
    assert trigram_bits_per_byte("".join(documents[:5000]), "".join(documents[5000:])) == pytest.approx(1.0, abs=0.02)


def test_memory_gives_the_target_of_the_most_similar_source():
    pairs = [
        ("three days ago", "vor drei Tagen"),
        ("Monday, May 5", "Montag, 5. Mai"),
        ("in two weeks", "in zwei Wochen"),
    ]
    assert nearest_neighbour(pairs, ["four days ago", "Monday, May 6", "in two weeks"]) == [pair[1] for pair in pairs]
