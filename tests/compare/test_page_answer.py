from dataclasses import replace

import pytest

from attncompare.compare.groups import compare_groups
from attncompare.compare.page_answer import cost_sentences, headline, pairs_by_metric
from attncompare.compare.page_numbers import numbers_table
from attncompare.compare.table import result_table
from attncompare.compare.verdicts import verdicts


@pytest.fixture
def compared(make_run):
    """Compare variants by their BLEU of each seed; the loss goes the other way, so that it agrees."""

    def make(**scores):
        runs = [
            make_run(f"{name}{seed}", f"attention={name}", f"seed={seed}", test={"bleu": bleu, "loss": 5 - bleu / 10})
            for name, values in scores.items()
            for seed, bleu in enumerate(values, 1)
        ]
        (comparison,) = compare_groups(runs)
        return comparison, verdicts(comparison)

    return make


NOISE = [0.1, -0.2, 0.3, 0.0, -0.1, 0.2, 0.15, -0.05]


def around(mean, order=1):
    return [mean + noise for noise in NOISE[::order]]


def test_a_variant_that_beats_all_others_is_the_headline(compared):
    comparison, found = compared(dot=around(30), scaled=around(32, -1), additive=around(28, -1))
    assert headline(comparison, found) == "scaled is better than all 2 others in BLEU."


def test_variants_that_are_not_told_apart_are_not_ranked(compared):
    comparison, found = compared(dot=around(20), scaled=around(32, -1), additive=around(32))
    assert headline(comparison, found) == ("dot is worse in BLEU. Which of scaled and additive is best is not decided.")


def test_nothing_decided_is_said_as_such(compared):
    comparison, found = compared(dot=around(30), scaled=around(30, -1))
    assert headline(comparison, found) == "No difference in BLEU is decided."


def test_one_seed_or_one_model_decides_nothing(compared):
    assert headline(*compared(dot=[30], scaled=[60])).startswith("One seed decides nothing")
    assert headline(*compared(additive=[30, 31])).startswith("One model alone")


def test_many_variants_are_counted_instead_of_named(compared):
    comparison, found = compared(dot=around(20), scaled=around(32, -1), additive=around(32))
    (dot, *others) = comparison.variants
    many = [replace(others[0], label=f"more {number}") for number in range(6)]
    told = headline(replace(comparison, variants=(dot, *others, *many)), found)
    assert told == "No single best variant in BLEU: 1 of 9 are worse than another, 8 are worse than none."


@pytest.mark.parametrize("metric", ["bleu", "loss"])
def test_the_strip_shows_the_better_variant_to_the_right_of_no_difference(compared, metric):
    pairs = {one.metric.key: one for one in pairs_by_metric(compared(dot=around(30), scaled=around(32, -1))[1])}
    (line,) = pairs[metric].shown
    assert (line.ahead.label, line.behind.label) == ("scaled", "dot")
    assert 0 <= line.reach.zero < line.reach.low < line.reach.mean < line.reach.high <= 100
    assert pairs[metric].decided == pairs[metric].total == 1


def test_figures_that_are_not_finite_have_no_strip_and_break_no_table(compared):
    _, found = compared(dot=[30, float("nan")], scaled=[31, 32])
    (line,) = pairs_by_metric(found)[0].shown
    assert line.reach is None
    assert all(cell for row in numbers_table(found).rows for cell in row)


def test_costs_are_told_by_their_ends(make_run):
    costs = {"dot": {"tokens_per_second": 20_000.0}, "additive": {"tokens_per_second": 10_000.0}}
    runs = [make_run(name, f"attention={name}", cost=cost) for name, cost in costs.items()]
    (comparison,) = compare_groups(runs)
    told = cost_sentences(result_table(comparison))
    assert "Parameters: 1.23 M for all" in told
    assert "Training tokens per second: 10.0 k (additive) to 20.0 k (dot), 100 % apart" in told
