import numpy as np
import pytest

from attncompare.compare.statistics import Items, read_items, sentence_test
from attncompare.compare.statistics.items import _plan
from attncompare.errors import Refused

RANDOM = np.random.default_rng(0)


def matches(chance, sentences=300):
    right = RANDOM.random(sentences) < chance
    return Items("exact_match", "sentence", tuple(range(sentences)), np.stack([right, np.ones(sentences)], 1))


def test_a_clear_difference_is_found_and_nothing_where_there_is_none():
    good, bad = ({seed: matches(chance) for seed in range(4)} for chance in (0.7, 0.5))
    found = sentence_test(good, bad)
    assert found.p < 0.01
    assert 0 < found.interval.low < found.mean < found.interval.high < 0.4
    assert (found.unit, found.units) == ("sentence", 300)
    assert found.method.endswith("seeds: 4")
    same = sentence_test(good, good)
    assert (same.mean, same.p, same.interval.low, same.interval.high) == (0, 1, 0, 0)


def test_the_mean_is_that_of_the_scores_and_turns_with_the_order():
    first, second = ({seed: matches(0.5) for seed in range(3)} for _ in range(2))
    found, turned = sentence_test(first, second), sentence_test(second, first)
    assert found.mean == pytest.approx(
        np.mean([x.score for x in first.values()]) - np.mean([x.score for x in second.values()])
    )
    assert turned.mean == -found.mean
    assert turned.p == found.p
    assert turned.interval.low == pytest.approx(-found.interval.high)


def test_the_same_data_give_the_same_figures():
    first, second = {1: matches(0.5)}, {1: matches(0.6)}
    found = sentence_test(first, second)
    _plan.cache_clear()
    again = [{1: Items(x[1].metric, x[1].unit, x[1].ids, x[1].features_NF)} for x in (first, second)]
    assert sentence_test(*again) == found


def test_a_sentence_is_drawn_with_all_its_seeds():
    """Six copies of one seed are one seed's evidence: drawn apart, they would count as six times the sentences."""
    good, bad = matches(0.6), matches(0.5)
    once, copied = (sentence_test(dict.fromkeys(range(n), good), dict.fromkeys(range(n), bad)) for n in (1, 6))
    assert copied.interval.low == pytest.approx(once.interval.low)
    assert copied.p == once.p


def test_documents_are_drawn_whole():
    """The standard error is that of the ratio of sums by linearization, not that of its tokens."""
    tokens = RANDOM.integers(10, 500, 100).astype(float)
    lean = 0.2 * RANDOM.standard_normal(100)
    models = [
        Items("loss", "document", tuple(range(100)), np.stack([tokens * (3 + part), tokens], 1)) for part in (lean, 0)
    ]
    found = sentence_test({0: models[0]}, {0: models[1]})
    ratio = (tokens * lean).sum() / tokens.sum()
    error = np.sqrt(((tokens * (lean - ratio)) ** 2).sum()) / tokens.sum()
    assert found.mean == pytest.approx(ratio)
    assert found.interval.high - found.interval.low == pytest.approx(2 * 1.99 * error, rel=0.15)
    assert found.unit == "document"


def test_seeds_without_a_partner_are_left_out_and_counted():
    first = {seed: matches(0.5) for seed in (1, 2, 3)}
    assert sentence_test(first, {2: first[2], 9: matches(0.9)}).method.endswith("seeds: 1")
    assert sentence_test(first, {8: matches(0.5), 9: matches(0.9)}).method.endswith("seeds: 2")
    assert sentence_test(first, {}) is None


def test_too_few_items_say_nothing():
    assert sentence_test({1: matches(0.5, 19)}, {1: matches(0.5, 19)}) is None
    assert sentence_test({1: matches(0.5, 20)}, {1: matches(0.5, 20)}) is not None


def test_other_test_items_are_refused():
    with pytest.raises(Refused, match="same test set"):
        sentence_test({1: matches(0.5, 30)}, {1: matches(0.5, 31)})


def test_bleu_is_resampled_as_a_corpus_score():
    references = [" ".join(RANDOM.choice(list("abcdefgh"), 8)) for _ in range(40)]

    def run(share):
        made = [
            {"id": i, "reference": r, "prediction": "".join(c if RANDOM.random() > share else "x" for c in r)}
            for i, r in enumerate(references)
        ]
        return made, read_items("bleu", made, "sentence")

    (made, good), (_, bad) = run(0.05), run(0.3)
    counts = _plan(40)[0][0].astype(int)
    drawn = [{**row, "id": 0} for row, count in zip(made, counts, strict=True) for _ in range(count)]
    assert read_items("bleu", drawn, "sentence").score == pytest.approx(
        Items("bleu", "sentence", (0,), good.resampled[:1]).score
    )
    assert sentence_test({1: good}, {1: bad}).p < 0.01
