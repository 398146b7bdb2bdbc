"""The tests over seeds: sign flips of pairs, permutation of labels, Welch's interval."""

import numpy as np
import pytest
import scipy.stats

from attncompare.compare.statistics.paired import sign_choices, sign_flip_p, smallest_sign_flip_p
from attncompare.compare.statistics.unpaired import permutation_p, smallest_permutation_p, welch_interval

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("n", [2, 3, 6, 9])
def test_sign_flips_are_scipys_exact_test(n):
    for differences in (RANDOM.standard_normal(n), RANDOM.integers(-2, 3, n) / 10):
        expected = scipy.stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=2**n, alternative="two-sided"
        ).pvalue
        assert sign_flip_p(differences[None])[0] == pytest.approx(expected)


@pytest.mark.parametrize(("n", "smallest"), [(1, 1.0), (2, 0.5), (5, 0.0625), (6, 0.03125), (8, 2 / 256)])
def test_the_smallest_p_is_reached_when_all_seeds_agree(n, smallest):
    assert smallest_sign_flip_p(n) == smallest
    assert sign_flip_p(np.arange(1.0, n + 1)[None])[0] == smallest
    assert sign_flip_p(-np.full((1, n), 0.1))[0] == smallest


def test_six_seeds_reject_only_when_all_agree():
    agreeing = np.abs(RANDOM.standard_normal((200, 6)))
    assert (sign_flip_p(agreeing) <= 0.05).all()
    agreeing[:, 2] *= -1e-3
    assert (sign_flip_p(agreeing) > 0.05).all()


def test_no_difference_has_p_one():
    assert sign_flip_p(np.zeros((1, 6)))[0] == 1
    assert permutation_p(np.ones((1, 3)), np.ones((1, 4)))[0] == 1


def test_many_seeds_are_drawn_always_the_same_and_close_to_students():
    differences = RANDOM.standard_normal((1, 30)) + 0.4
    p = sign_flip_p(differences)[0]
    sign_choices.cache_clear()
    assert sign_flip_p(differences)[0] == p
    assert p == pytest.approx(scipy.stats.ttest_1samp(differences[0], 0).pvalue, abs=0.01)
    assert sign_flip_p(np.ones((1, 30)))[0] == smallest_sign_flip_p(30) == 2**-16


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 5), (2, 6), (3, 6), (2, 7), (6, 6), (9, 10)])
def test_labels_are_permuted_as_by_hand(n, m):
    first, second = 3 * RANDOM.standard_normal(n) + 1, RANDOM.standard_normal(m)

    def welch(a, b, axis):
        return np.abs(a.mean(axis) - b.mean(axis)) / np.sqrt(a.var(axis, ddof=1) / n + b.var(axis, ddof=1) / m)

    expected = scipy.stats.permutation_test(
        (first, second), welch, vectorized=True, n_resamples=70_000, alternative="greater", rng=1
    ).pvalue
    assert permutation_p(first[None], second[None])[0] == pytest.approx(expected, abs=0.01 if n + m > 17 else 1e-9)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (3, 5), (6, 6)])
def test_the_smallest_p_of_labels_is_reached_when_groups_stand_apart(n, m):
    apart = permutation_p(RANDOM.random((1, n)), 100 + RANDOM.random((1, m)))[0]
    assert apart == pytest.approx(smallest_permutation_p(n, m))
    assert permutation_p(np.zeros((1, n)), np.ones((1, m)))[0] == pytest.approx(smallest_permutation_p(n, m))


def test_welchs_interval_is_scipys():
    first, second = RANDOM.standard_normal(5), 3 * RANDOM.standard_normal(7)
    expected = scipy.stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    found = welch_interval(first, second)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    still = welch_interval(np.ones(3), np.zeros(3))
    assert (still.low, still.high) == (1.0, 1.0)
