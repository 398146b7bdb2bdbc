"""Statistics over seeds: intervals of a mean, exact tests, effects, and how many seeds are missing."""

import math

import numpy as np
import pytest
import scipy.stats

from attncompare.compare.statistics import (
    Difference,
    collapsed,
    correct,
    difference,
    estimate,
    level_after,
    rate_interval,
    spent,
    welch_interval,
    with_advice,
)
from attncompare.compare.statistics.seeds import (
    bootstrap_t,
    permutation_p,
    sign_choices,
    sign_flip_p,
    smallest_permutation_p,
    smallest_sign_flip_p,
)

RANDOM = np.random.default_rng(0)
HIGH = {1: 31.0, 2: 32.1, 3: 30.9, 4: 31.5, 5: 31.7, 6: 32.0}
LOW = {1: 30.0, 2: 30.8, 3: 30.1, 4: 30.4, 5: 30.3, 6: 31.2}


def test_mean_and_standard_deviation():
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])
    assert (found.mean, found.n) == (4.0, 6)
    assert found.sd == pytest.approx(np.std([1, 2, 3, 4, 5, 9], ddof=1))
    assert found.interval.low < 4 < found.interval.high
    assert (found.interval.level, found.interval.method) == (0.95, "bootstrap-t")


def test_few_seeds_and_ties_get_students_interval():
    found = estimate([1.0, 2.0, 3.0]).interval
    assert found.method == "t"
    assert (found.low, found.high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    tied = estimate([1.0, 1.0, 1.0, 1.0, 2.0]).interval
    assert tied.method == "t"
    assert math.isfinite(tied.low)
    same = estimate([2.0] * 6).interval
    assert (same.low, same.high) == (2.0, 2.0)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e308])
def test_a_diverged_run_leaves_no_claim(odd):
    found = estimate([1.0, odd, odd, 2.0, 3.0, 4.0])
    assert (found.sd, found.interval, found.n) == (None, None, 6)


def test_the_interval_moves_and_grows_with_the_figures():
    values = np.random.default_rng(0).standard_normal((3, 7))
    low, high = bootstrap_t(values)
    moved_low, moved_high = bootstrap_t(5 + 1e6 * values)
    assert moved_low == pytest.approx(5 + 1e6 * low)
    assert moved_high == pytest.approx(5 + 1e6 * high)
    mirrored_low, mirrored_high = bootstrap_t(-values)
    assert mirrored_low == pytest.approx(-high, abs=0.02)
    assert mirrored_high == pytest.approx(-low, abs=0.02)


def test_the_bootstrap_tries_all_resamples_as_drawing_many_would():
    values = np.random.default_rng(1).standard_normal(6)
    drawn = values[np.random.default_rng(2).integers(0, 6, (200_000, 6))]
    with np.errstate(divide="ignore"):
        t = (drawn.mean(1) - values.mean()) / (drawn.std(1, ddof=1) / 6**0.5)
    error = values.std(ddof=1) / 6**0.5
    low, high = bootstrap_t(values[None])
    assert low[0] == pytest.approx(values.mean() - np.quantile(t, 0.975) * error, abs=0.05 * error)
    assert high[0] == pytest.approx(values.mean() - np.quantile(t, 0.025) * error, abs=0.05 * error)
    assert estimate(values.tolist()) == estimate(values.tolist())
    more = np.random.default_rng(3).standard_normal(20).tolist()
    assert estimate(more) == estimate(more)


@pytest.mark.parametrize("n", [2, 6])
def test_sign_flips_are_scipys_exact_test(n):
    for differences in (RANDOM.standard_normal(n), RANDOM.integers(-2, 3, n) / 10):
        expected = scipy.stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=2**n, alternative="two-sided"
        ).pvalue
        assert sign_flip_p(differences[None])[0] == pytest.approx(expected)


@pytest.mark.parametrize(("n", "smallest"), [(1, 1.0), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_is_reached_when_all_seeds_agree(n, smallest):
    assert smallest_sign_flip_p(n) == smallest
    assert sign_flip_p(np.arange(1.0, n + 1)[None])[0] == smallest
    assert sign_flip_p(-np.full((1, n), 0.1))[0] == smallest


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


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 5), (9, 10)])
def test_labels_are_permuted_as_by_hand(n, m):
    first, second = 3 * RANDOM.standard_normal(n) + 1, RANDOM.standard_normal(m)

    def welch(a, b, axis):
        return np.abs(a.mean(axis) - b.mean(axis)) / np.sqrt(a.var(axis, ddof=1) / n + b.var(axis, ddof=1) / m)

    expected = scipy.stats.permutation_test(
        (first, second), welch, vectorized=True, n_resamples=70_000, alternative="greater", rng=1
    ).pvalue
    assert permutation_p(first[None], second[None])[0] == pytest.approx(expected, abs=0.01 if n + m > 17 else 1e-9)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 5)])
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


def test_common_seeds_are_pairs():
    found = difference(HIGH, LOW)
    gaps = [HIGH[seed] - LOW[seed] for seed in HIGH]
    assert (found.n, found.paired, found.p, found.smallest_p) == (6, True, 0.03125, 0.03125)
    assert found.mean == pytest.approx(np.mean(gaps))
    expected = scipy.stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert list(found.by_seed.values()) == pytest.approx(gaps)
    assert found.effect_size == pytest.approx(np.mean(gaps) / np.std(gaps, ddof=1) * (1 - 3 / 19))
    assert found.more_seeds is None


def test_the_other_way_round_is_the_mirror_image():
    one, other = difference(HIGH, LOW), difference(LOW, HIGH)
    assert other.mean == -one.mean
    assert other.p == one.p
    assert other.interval.low == pytest.approx(-one.interval.high)
    assert other.effect_size == pytest.approx(-one.effect_size)


def test_nested_seeds_are_used_in_the_way_that_can_reach_the_smaller_p():
    """Twelve seeds against five of them: five pairs could never decide, the seventeen figures without pairs can."""
    found = difference({seed: 10 + seed / 10 for seed in range(12)}, {seed: seed / 10 for seed in range(5)})
    assert not found.paired
    assert found.p == found.smallest_p == pytest.approx(1 / math.comb(17, 5))
    assert difference(HIGH, LOW).paired  # the same seeds are always pairs


@pytest.mark.parametrize("figure", [0.0, 1e9, -1e9])
def test_seeds_alone_decide_whether_there_are_pairs(figure):
    found = difference({**HIGH, 7: figure}, {**LOW, 8: -figure})
    assert not found.paired and found.n == 7


@pytest.mark.parametrize("shift", [6, 5, 4, 1])  # common seeds: none, one, two, five
def test_without_common_seeds_all_figures_count(shift):
    found = difference(HIGH, {seed + shift: figure for seed, figure in LOW.items()})
    assert (found.n, found.paired, found.by_seed) == (6, False, {})
    assert found.smallest_p == pytest.approx(2 / math.comb(12, 6))
    assert found.p <= 0.05
    assert found.interval.method == "Welch"
    assert found.test == "permutation of labels, all"


@pytest.mark.parametrize("second", [{1: 30.0}, {2: 30.0}, {1: 30.0, 2: 31.0, 3: 30.5}])
def test_one_seed_gives_the_mean_alone(second):
    found = difference({1: 31.0}, second)
    mean = 31.0 - (30.0 if 1 in second else np.mean(list(second.values())))
    assert found == Difference(mean, 1, 1 in second, sign=1)
    assert not found.decided


@pytest.mark.parametrize("paired", [True, False])
def test_a_diverged_run_counts_as_the_worst_and_ranks_decide(paired):
    other = LOW if paired else {seed + 10: figure for seed, figure in LOW.items()}
    lost = difference(HIGH, {**other, 3 if paired else 13: -math.inf})
    assert lost.ranks and lost.sign == 1
    assert lost.p <= difference(HIGH, other).p  # the others agree already
    assert (lost.interval, lost.effect_size) == (None, None)
    won = difference({**HIGH, 3: -math.inf}, other)
    assert won.p > lost.p and won.sign == 1
    assert difference({**HIGH, 3: -math.inf}, {**LOW, 3: -math.inf}).by_seed[3] == 0


def test_signed_ranks_are_scipys():
    gaps = RANDOM.standard_normal(9)
    found = difference(dict(enumerate(gaps)), dict.fromkeys(range(9), 0.0), ranks=True)
    assert found.p == pytest.approx(scipy.stats.wilcoxon(gaps, method="exact").pvalue)
    assert found.mean == pytest.approx(np.median(gaps))


def test_far_worse_seeds_have_collapsed_and_noise_has_not():
    figures = {1: 30.0, 2: 31.0, 3: 30.5, 4: 29.5, 5: 30.2, 6: 2.0}
    assert collapsed(figures, 0.5, higher_is_better=True) == {6}
    assert collapsed(figures, 0.5, higher_is_better=False) == set()
    assert collapsed(figures, 5.0, higher_is_better=True) == set()
    assert collapsed({1: 30.0, 2: -math.inf}, 0.5, higher_is_better=True) == {2}
    assert collapsed(dict.fromkeys(range(6), 1.0), 0.0, higher_is_better=True) == set()
    noise = RANDOM.standard_normal((500, 6))
    assert not any(collapsed(dict(enumerate(row)), 1.0, higher_is_better=True) for row in noise)


def test_rates_have_scipys_exact_interval():
    for count, n in ((0, 6), (1, 6), (6, 6)):
        expected = scipy.stats.binomtest(count, n).proportion_ci(method="exact")
        found = rate_interval(count, n)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_probability_of_being_better_counts_seeds_and_ties_by_half():
    share, interval = difference(HIGH, {**LOW, 1: 31.0, 2: 99.0}).superiority
    assert share == pytest.approx(4.5 / 6)
    assert interval.low == pytest.approx(rate_interval(4, 6).low)
    assert interval.high == pytest.approx(rate_interval(5, 6).high)


def advice(first, second):
    found = correct([difference(first, second)], ["a"])
    now = spent(found, level_after([]))
    return with_advice(found, ["a"], level_after([now] if now else []))[0].more_seeds


def test_five_seeds_that_agree_need_one_more_and_six_that_were_tested_need_two():
    zero = dict.fromkeys(range(6), 0.0)
    assert advice({seed: 10.0 + seed / 10 for seed in range(5)}, dict.fromkeys(range(5), 0.0)) == (1, 1)
    assert advice(dict.fromkeys(range(5), 1.0), dict.fromkeys(range(5), 0.0)) == (1, 1)
    low, high = advice({**dict.fromkeys(range(6), 5.0), 0: -0.1}, zero)
    assert 2 <= low <= high <= 4  # 1 / 128 <= 0.0094
    low, high = advice({seed: 1.0 + (-1) ** seed for seed in range(6)}, zero)
    assert 2 < low < high
    assert advice({seed: (-1.0) ** seed for seed in range(6)}, zero) is advice(zero, zero) is None  # nothing to decide
    assert advice(dict.fromkeys(range(2), 1.0), dict.fromkeys(range(2), 0.0)) is None


def test_without_pairs_there_is_advice_too():
    low, high = advice({0: 0.0, 1: 0.1, 2: 0.2}, {3: 9.0, 4: 9.1, 5: 9.2})
    assert low == high == 1  # 2 / 70 <= 1 / 32
    low, high = advice({seed: seed / 10 for seed in range(6)}, {seed: seed / 10 - 0.8 for seed in range(10, 16)})
    assert 1 <= low <= high


def test_so_many_common_seeds_that_pairs_reach_as_far_make_pairs():
    many = {seed: float(seed % 5) for seed in range(17)}
    found = difference({**many, 20: 1.0}, {**many, 21: 1.0})
    assert found.paired and found.n == 17
