"""The statistics on simulated comparisons of which the truth is known; docs/statistics.md has the long version's figures.

``-m long -s`` prints them.
"""

import pytest
from simulations import (
    bound,
    difference_coverage,
    document_coverage,
    family_errors,
    family_power,
    heavy,
    mean_coverage,
    normal,
    pair_rejections,
    planned_power,
    power_beside,
    sentence_rejections,
    skewed,
    unpaired_rejections,
)

QUICK, MANY = 400, 20_000
NULL = [0] * 5


def said(name, *figures):
    print(f"{name:80}", *(f"{figure:.3f}" for figure in figures))
    return figures


def test_equal_variants_are_rarely_told_apart():
    assert pair_rejections(QUICK, 5) == 0
    for n in (6, 8):
        assert pair_rejections(QUICK, n) <= bound(0.05, QUICK)
        assert unpaired_rejections(QUICK, n, n) <= bound(0.05, QUICK)
        joint, by_holm = family_errors(QUICK, n, NULL, metrics=4)
        assert joint <= bound(0.05, QUICK)
        assert by_holm <= bound(0.05, QUICK)
        assert family_errors(QUICK, n, [2, 0, 0, 0, 0])[0] <= bound(0.05, QUICK)


def test_intervals_cover_what_they_say():
    for n in (5, 6, 8):
        assert 1 - mean_coverage(QUICK, n) <= bound(0.07, QUICK)
        assert all(1 - covered <= bound(0.07, QUICK) for covered in difference_coverage(QUICK, n))
        assert mean_coverage(QUICK, n) <= bound(0.97, QUICK)


def test_a_real_difference_is_found():
    assert 1 - pair_rejections(QUICK, 8, shift=2) <= bound(0.2, QUICK)
    assert 1 - family_power(QUICK, 8, [2, 0]) <= bound(0.2, QUICK)


@pytest.mark.parametrize("far", [[], [[40, 8]], [[40, 8], [-60, 12]]], ids=["none", "one", "two"])
def test_a_variant_far_off_hides_no_difference_of_the_others(far):
    for n, least in ((6, 0.3), (8, 0.7)):
        assert (1 - power_beside(QUICK, n, far) <= bound(1 - least, QUICK)).all()


def test_sentence_tests_keep_their_level_for_given_models():
    assert sentence_rejections(QUICK, sentences=60) <= bound(0.05, QUICK)
    covered, rejected = document_coverage(QUICK, 100)
    assert 1 - covered <= bound(0.07, QUICK)
    assert rejected <= bound(0.05, QUICK)


def test_sentence_tests_do_not_speak_of_other_seeds():
    """Equal variants differ by their seeds, and the sentence test finds that: why it never decides."""
    assert sentence_rejections(QUICK, sentences=200, seed_effect=0.3) > 0.2


@pytest.mark.long
@pytest.mark.parametrize("noise", [normal, skewed, heavy])
def test_false_positives_of_one_pair(noise):
    for n in (5, 6, 7, 8, 12):
        (rate,) = said(f"false positives, {n} pairs, {noise.__name__}", pair_rejections(MANY, n, noise=noise))
        assert rate <= bound(0.05, MANY)
    for n, m in ((3, 3), (6, 6), (5, 8)):
        (rate,) = said(f"unpaired {n} and {m}, {noise.__name__}", unpaired_rejections(MANY, n, m, noise=noise))
        assert rate <= bound(0.05, MANY)
    said("unpaired, 8 and 5, the 5 three times as noisy", unpaired_rejections(MANY, 8, 5, spread=3, noise=noise))


@pytest.mark.long
@pytest.mark.parametrize("noise", [normal, skewed, heavy])
@pytest.mark.parametrize("n", [6, 8])
def test_false_positives_of_a_family(n, noise):
    for name, means, options in (
        ("10 equal pairs", NULL, {}),
        ("10 equal pairs x 4 metrics", NULL, {"metrics": 4}),
        ("10 equal pairs, noise 1 to 5", NULL, {"spreads": [1, 1, 1, 2, 5]}),
        ("6 equal pairs of 10", [2, 0, 0, 0, 0], {}),
        ("6 equal pairs of 10, far and noisy one", [20, 0, 0, 0, 0], {"spreads": [10, 1, 1, 1, 1]}),
        ("2 equal pairs of 10 x 4 metrics", [0, 0, 2, 2, 4], {"metrics": 4}),
    ):
        label = f"at least one false positive, {n} seeds, {noise.__name__}, {name}"
        rates = said(label, *family_errors(MANY, n, means, noise=noise, **options))
        # Of skewed noise of unequal size the differences are not symmetric: the one case in which sign flips err.
        if noise is not skewed or "spreads" not in options:
            assert max(rates) <= bound(0.05, MANY)


@pytest.mark.long
@pytest.mark.parametrize("noise", [normal, skewed, heavy])
def test_coverage_over_seeds(noise):
    for n in (5, 6, 7, 8, 12):
        (mean,) = said(f"coverage of a mean, {n} seeds, {noise.__name__}", mean_coverage(MANY // 2, n, noise))
        label = f"coverage of a difference, paired and unpaired, {n} seeds, {noise.__name__}"
        pairs, groups = said(label, *difference_coverage(MANY // 2, n, noise))
        if noise is normal:
            assert all(abs(covered - 0.95) <= 0.02 for covered in (mean, pairs, groups))


@pytest.mark.long
def test_power():
    """A difference of twice the seed noise (the standard deviation of one variant over seeds)."""
    for n in (6, 7, 8):
        said(f"one pair, {n} seeds: found", *(pair_rejections(MANY, n, 2, z) for z in (normal, skewed, heavy)))
        said(f"one pair x 4 metrics, {n} seeds: found", family_power(MANY, n, [2, 0], metrics=4))
        said(f"one of 5 variants, {n} seeds: found", family_power(MANY, n, [2, 0, 0, 0, 0]))
        said(f"one of 5 variants x 4 metrics, {n} seeds: found", family_power(MANY, n, [2, 0, 0, 0, 0], metrics=4))
        said(f"one pair, unpaired {n}: found", unpaired_rejections(MANY // 2, n, n, 2))
    assert pair_rejections(MANY, 8, 2) >= 0.8
    assert family_power(MANY, 8, [2, 0], metrics=4) >= 0.8


@pytest.mark.long
@pytest.mark.parametrize("means", [[2, 0], [3, 0, 0, 0, 0], [2, 0, 0, 0, 0], [1.5, 0, 0, 0, 0]], ids=str)
def test_the_seeds_asked_for_are_about_enough(means):
    for metrics in (1, 4):
        further, found = planned_power(1000, 5, means, metrics=metrics)
        said(f"means {means} x {metrics} metrics: 5 seeds and {further} more, found", found)
        assert 0.6 <= found <= 0.95


@pytest.mark.long
def test_sentence_and_document_tests():
    for effect in (0.0, 0.1, 0.3):
        rate = sentence_rejections(MANY // 2, seed_effect=effect)
        said(f"sentence test, equal variants, seed effect {effect}", rate)
        if not effect:
            assert rate <= bound(0.05, MANY // 2)
    for documents in (20, 50, 100, 200):
        covered, rejected = said(f"{documents} documents: coverage, p", *document_coverage(MANY // 2, documents))
        assert covered >= 0.92
        assert rejected <= 0.06
