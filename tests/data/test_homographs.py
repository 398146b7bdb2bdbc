"""Sentences with words of two meanings: what tells the meaning, and what train does not show of test."""

import re
from collections import Counter

import pytest
from dataset_configs import dataset

from attncompare.data.corpora.homographs import HELD_OUT, SENSES, TEMPLATES, doing
from attncompare.data.dataset import SPLITS
from attncompare.errors import Refused

SIZES = {"train_size": 400, "val_size": 40, "test_size": 80}


@pytest.fixture(scope="module")
def splits():
    return dataset("homographs", **SIZES).load().splits


def form(text, label):
    """Return a sentence without what belongs to its meaning."""
    sense = next(sense for sense in SENSES if sense.label == label)
    words = "|".join((sense.word, *sense.verbs, *map(doing, sense.verbs), *sense.companions))
    return re.sub(r"\ban?\b", "a", re.sub(rf"\b({words})(s?)\b", "_", text))


def forms(templates):
    return {re.sub(r"\ban?\b", "a", re.sub(r"\{\w+\}s?", "_", one)) for one in templates}


def test_ten_words_have_two_meanings_that_share_nothing_but_the_word():
    by_word = {word: [sense for sense in SENSES if sense.word == word] for word in {sense.word for sense in SENSES}}
    assert len(by_word) == 10
    for first, second in by_word.values():
        assert not {*first.verbs, *first.companions} & {*second.verbs, *second.companions}


def test_test_has_forms_that_train_does_not_have(splits):
    seen = {
        split: {form(*row) for row in zip(splits[split]["text"], splits[split]["label"], strict=True)}
        for split in SPLITS
    }
    assert seen["train"] <= forms(TEMPLATES) and seen["val"] <= forms(TEMPLATES)
    assert seen["test"] == forms(HELD_OUT) and not seen["test"] & seen["train"]


def test_no_sentence_comes_twice_and_every_label_equally_often(splits):
    texts = [text for split in SPLITS for text in splits[split]["text"]]
    assert len(set(texts)) == len(texts) == sum(SIZES.values())
    for split in SPLITS:
        counts = Counter(splits[split]["label"])
        assert len(counts) == 20 and (split == "val" or len(set(counts.values())) == 1)


def test_words_of_test_stand_in_train():
    """So that it is the form that is new, and no word."""
    loaded = dataset("homographs").load().splits
    known = {word for text in loaded["train"]["text"] for word in text.split()}
    assert {word for text in loaded["test"]["text"] for word in text.split()} <= known


def test_no_capital_tells_a_company_and_articles_fit(splits):
    for text in splits["train"]["text"]:
        assert re.sub(r"\bI\b", "", text).islower()
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text), text


def test_more_sentences_than_there_are_are_refused():
    with pytest.raises(Refused, match="train_size"):
        dataset("homographs", train_size=10_000).load()
