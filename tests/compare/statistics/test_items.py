"""Tests over test items, from the sums of each item in the record."""

import math

import numpy as np
import pytest

from attncompare.compare import Options, compare_groups, verdicts
from attncompare.compare.statistics import MOST_ITEMS, Items, item_test, read_items
from attncompare.compare.statistics.items import _plan
from attncompare.compare.statistics.results import RESAMPLES, generator
from attncompare.compare.verdicts import verdict_notes
from attncompare.errors import Refused
from attncompare.tasks.metrics import BitsPerByte, Bleu, ExactMatch, Loss, PseudoPerplexity

RANDOM = np.random.default_rng(0)


def figure(items):
    return float(items.value(items.sums_NF.sum(0)))


def matches(chance, sentences=300):
    right = RANDOM.random(sentences) < chance
    return Items(ExactMatch, tuple(range(sentences)), np.stack([right, np.ones(sentences)], 1))


def test_a_clear_difference_is_found_and_nothing_where_there_is_none():
    good, bad = ({seed: matches(chance) for seed in range(4)} for chance in (0.7, 0.5))
    found = item_test(good, bad)
    assert found.p < 0.01
    assert 0 < found.interval.low < found.mean < found.interval.high < 0.4
    assert found.items == 300
    assert found.method.endswith("seeds: 4")
    same = item_test(good, good)
    assert (same.mean, same.p, same.interval.low, same.interval.high) == (0, 1, 0, 0)


def test_the_mean_is_that_of_the_scores_and_turns_with_the_order():
    first, second = ({seed: matches(0.5) for seed in range(3)} for _ in range(2))
    found, turned = item_test(first, second), item_test(second, first)
    means = [np.mean([figure(one) for one in seeds.values()]) for seeds in (first, second)]
    assert found.mean == pytest.approx(means[0] - means[1])
    assert turned.mean == -found.mean
    assert turned.p == found.p
    assert turned.interval.low == pytest.approx(-found.interval.high)


def test_a_sentence_is_drawn_with_all_its_seeds():
    """Six copies of one seed are one seed's evidence: drawn apart, they would count as six times the sentences."""
    good, bad = matches(0.6), matches(0.5)
    once, copied = (item_test(dict.fromkeys(range(n), good), dict.fromkeys(range(n), bad)) for n in (1, 6))
    assert copied.interval.low == pytest.approx(once.interval.low)
    assert copied.p == once.p


def test_seeds_without_a_partner_are_left_out_and_counted():
    first = {seed: matches(0.5) for seed in (1, 2, 3)}
    assert item_test(first, {2: first[2], 9: matches(0.9)}).method.endswith("seeds: 1")
    assert item_test(first, {8: matches(0.5), 9: matches(0.9)}).method.endswith("seeds: 2")
    assert item_test(first, {}) is None


def test_other_test_items_are_refused_and_too_few_say_nothing():
    assert item_test({1: matches(0.5, 19)}, {1: matches(0.5, 19)}) is None  # too few to say anything
    with pytest.raises(Refused, match="same test set"):
        item_test({1: matches(0.5, 30)}, {1: matches(0.5, 31)})


def losses(count):
    return [{"id": i, "loss": [1.0 + i % 7, 3 + i % 5]} for i in range(count)]


def test_sums_of_the_record_give_the_figure():
    rows = [
        {"id": 0, "loss": [12.0, 10], "bits_per_byte": [12.0, 40]},
        {"id": 7, "loss": [3.0, 20], "bits_per_byte": [3, 60]},
    ]
    items = read_items(Loss, rows)
    assert items.ids == (0, 7) and figure(items) == 0.5
    assert figure(read_items(BitsPerByte, rows)) == pytest.approx(15 / 100 / math.log(2))


@pytest.mark.parametrize(
    "rows",
    [[], [{"id": 0}], [{"id": 0, "loss": [1.0]}], [{"id": 0, "loss": [math.nan, 2]}], [{"id": 0, "bleu": [1.0, 2]}]],
)
def test_rows_without_finite_sums_of_the_metric_are_none(rows):
    assert read_items(Loss, rows) is None


def test_items_that_a_metric_does_not_count_are_not_its_items():
    rows = losses(30)
    for row in rows[:25]:
        row["pseudo_perplexity"] = [2.0, 3]
    assert read_items(Loss, rows).ids == tuple(range(30))
    assert read_items(PseudoPerplexity, rows).ids == tuple(range(25))


def test_bleu_is_resampled_as_a_corpus_score():
    texts = [" ".join(RANDOM.choice(list("abcdefgh"), 8)) for _ in range(40)]

    def run(share):
        bleu = Bleu()
        given = ["".join(c if RANDOM.random() > share else "x" for c in text) for text in texts]
        bleu.update(given, texts, list(range(40)))
        return given, read_items(Bleu, [{"id": i, "bleu": sums} for i, sums in bleu.item_sums().items()])

    (given, good), (_, bad) = run(0.05), run(0.3)
    counts = _plan(40)[0][0].astype(int)
    drawn = Bleu()
    drawn.update(np.repeat(given, counts).tolist(), np.repeat(texts, counts).tolist(), list(range(40)))
    assert good.value(good.resampled[0]) == pytest.approx(drawn.compute().item())
    assert item_test({1: good}, {1: bad}).p < 0.01


def test_resamples_are_the_same_for_every_run():
    count = 30
    items = read_items(Loss, losses(count))
    random = generator()
    drawn_RN = random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    halves_RN = random.integers(0, 2, size=(RESAMPLES, count))
    assert items.resampled == pytest.approx(drawn_RN @ items.sums_NF)
    assert items.halves == pytest.approx(halves_RN @ items.sums_NF)


def test_with_more_items_there_is_no_such_test_and_a_note(make_run):
    runs = [
        make_run(name, "task=language_model", f"attention={name}", items=losses(MOST_ITEMS + 1))
        for name in ("dot", "scaled")
    ]
    (comparison,) = compare_groups(runs, options=Options(metric="loss"))
    (verdict,) = verdicts(comparison)
    assert verdict.difference.items is None
    assert "more than 20,000 test items: not tested over them" in verdict_notes(comparison)
