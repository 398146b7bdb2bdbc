"""Figures of single test items: their sums give sacrebleu's own scores."""

import math
import typing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF, TER

from attncompare.compare.statistics import read_items
from attncompare.config import TranslationConfig

TEXT = 'am Montag , den 3. März 2021 um zehn Uhr: vor Tagen (drei) Stunden und Minuten -5,3 % & "so" .'
WORDS = TEXT.split()
RANDOM = np.random.default_rng(0)


def sentence(longest=14):
    return " ".join(RANDOM.choice(WORDS, RANDOM.integers(0, longest)))


def rows(predictions, references):
    pairs = enumerate(zip(predictions, references, strict=True))
    return [{"id": i, "reference": reference, "prediction": prediction} for i, (prediction, reference) in pairs]


def noisy(text, share=0.3):
    return " ".join(word if RANDOM.random() > share else RANDOM.choice(WORDS) for word in text.split())


@pytest.mark.parametrize("share", [0.0, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("size", [1, 3, 200])
def test_sums_give_sacrebleus_scores(share, size):
    references = [sentence() for _ in range(size)]
    predictions = [noisy(reference, share) for reference in references]
    for metric, scorer in (("bleu", BLEU()), ("chrf", CHRF()), ("ter", TER())):
        found = read_items(metric, rows(predictions, references), "sentence").score
        assert found == pytest.approx(scorer.corpus_score(predictions, [references]).score, abs=1e-9)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("tokenize", typing.get_args(TranslationConfig.model_fields["bleu_tokenize"].annotation))
def test_bleu_is_cut_as_the_run_cut_it(tokenize, lowercase):
    references = ["Der Hund (klein) läuft, sagt man: 1.000 Meter!", "不 同 的 文本。", "a b c d e", ""]
    predictions = ["der hund (Klein) läuft, sagt Man: 1.000 Meter.", "不同 的文本。", "A b c D e f", "x"]
    scorer = BLEU(tokenize=tokenize, lowercase=lowercase, force=True)
    found = read_items("bleu", rows(predictions, references), "sentence", tokenize=tokenize, lowercase=lowercase).score
    assert found == pytest.approx(scorer.corpus_score(predictions, [references]).score, abs=1e-9)
    assert found > 0


TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.lists(st.sampled_from(["a", "b", "c", "a b", "ß", "."]), max_size=9).map(" ".join),
)


@settings(max_examples=150)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_any_text_scores_as_in_sacrebleu(pairs):
    predictions, references = [p for p, _ in pairs], [r for _, r in pairs]
    for metric, scorer in (("bleu", BLEU()), ("chrf", CHRF()), ("ter", TER())):
        found = read_items(metric, rows(predictions, references), "sentence").score
        assert found == pytest.approx(scorer.corpus_score(predictions, [references]).score, abs=1e-9)


def test_half_a_surrogate_is_no_obstacle():
    assert read_items("chrf", rows(["\ud800 a"], ["\ud800 a"]), "sentence").score == pytest.approx(100)


def test_exact_matches_and_losses_are_ratios_of_sums():
    assert read_items("exact_match", rows(["a", "b", "c"], ["a", "b", "x"]), "sentence").score == pytest.approx(2 / 3)
    losses = [{"id": 0, "nats": 12.0, "tokens": 10, "bytes": 40}, {"id": 1, "nats": 3.0, "tokens": 20, "bytes": 60}]
    assert read_items("loss", losses, "document").score == 0.5
    assert read_items("perplexity", losses, "document").score == pytest.approx(math.exp(0.5))
    assert read_items("bits_per_byte", losses, "document").score == pytest.approx(15 / 100 / math.log(2))


@pytest.mark.parametrize(
    ("metric", "given"),
    [
        ("bleu", []),
        ("token_accuracy", [{"id": 0}]),
        ("bleu", [{"id": 0, "prompt": "x", "continuation": "y"}]),
        ("bits_per_byte", [{"id": 0, "nats": 1.0, "tokens": 2}]),
        ("loss", [{"id": 0, "nats": math.nan, "tokens": 2}]),
        ("loss", [{"id": 0, "nats": math.inf, "tokens": 2}]),
        ("loss", [{"id": 0, "nats": None, "tokens": 2}]),
        ("loss", [{"nats": 1.0, "tokens": 2}]),
        ("exact_match", [{"id": [0], "reference": "x", "prediction": "y"}]),
    ],
)
def test_what_cannot_be_read_is_none(metric, given):
    assert read_items(metric, given, "sentence") is None
