"""The baselines themselves."""

import random

import jiwer
import numpy as np
import pytest
from baselines import (
    END,
    between_neighbours,
    commonest_text,
    majority,
    morse_by_rule,
    naive_bayes,
    nearest_class_mean,
    nearest_neighbour,
    nearest_utterances,
    trigram_bits_per_byte,
    unigram,
)
from dataset_configs import dataset

from attncompare.data.corpora.morse import CODE


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


def test_what_both_neighbours_tell_is_free_unless_they_are_masked():
    def found(ids, start, left_masked=False):
        left, asked, right = (ids[start + n : start + n + 900] for n in range(3))
        return between_neighbours(ids[:start], np.where(left_masked, 9, left), asked, right, mask=9)

    cycle = np.tile([4, 5, 4, 6, 7], 2000)  # a 4 and what follows it tell each other
    assert found(cycle, 8000) == (pytest.approx(0, abs=0.02), 1.0)
    loss, accuracy = found(cycle, 8000, left_masked=True)  # before a 4 stands 5 or 7
    assert loss == pytest.approx(0.4 * np.log(2), abs=0.03) and accuracy < 0.85
    letters = np.random.default_rng(0).integers(4, 8, 20_000)
    for loss, accuracy in (found(letters, 16_000), unigram(letters[:16_000], letters[16_000:], 8)):
        assert loss == pytest.approx(np.log(4), abs=0.05) and accuracy < 0.35


def test_labels_of_the_simplest_classifiers():
    assert majority(["b", "a", "b"], 2) == ["b", "b"]
    images = np.array([[[0, 0]], [[0, 2]], [[8, 9]], [[9, 9]]])
    assert (
        nearest_class_mean(images, ["dark", "dark", "bright", "bright"], images[::-1]) == ["bright"] * 2 + ["dark"] * 2
    )
    texts, labels = ["a good film", "good", "a bad film", "bad bad"], ["+", "+", "-", "-"]
    assert naive_bayes(texts, labels, ["Good and new", "a film so bad", "good good bad"]) == ["+", "-", "+"]


def test_a_memory_of_sounds_and_a_guess_know_little_of_morse_and_the_rule_knows_nearly_all():
    splits = dataset("morse", train_size=200, val_size=5, test_size=30).load().splits
    known, asked = ([(np.array(row["wave"]), row["target"]) for row in splits[split]] for split in ("train", "test"))
    texts = [text for _, text in asked]

    def error(found):
        return jiwer.cer(texts, list(found))

    assert error(morse_by_rule(wave, 8000, CODE) for wave, _ in asked) < 0.1
    assert error(nearest_utterances(known, [wave for wave, _ in asked], 8000)) > 0.4
    assert nearest_utterances(known, [known[7][0]], 8000) == [known[7][1]]
    assert error([commonest_text(splits["train"]["target"])] * 30) > 0.8
