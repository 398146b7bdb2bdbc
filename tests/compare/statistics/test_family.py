"""Corrections for many comparisons: Holm's, and joint sign flips."""

from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats

from attncompare.compare.statistics import correct, difference, level_after, spent, with_advice
from attncompare.compare.statistics.family import holm_p, step_down_p

RANDOM = np.random.default_rng(0)


def noisy(seeds, means):
    """Return figures (seeds, variants) around ``means``, with seed noise of 1."""
    return RANDOM.standard_normal((seeds, len(means))) + np.array(means)


def all_pairs(figures_NK, first_seed=0):
    variants = [dict(enumerate(column.tolist(), first_seed)) for column in figures_NK.T]
    return [difference(a, b) for a, b in combinations(variants, 2)]


def test_holm_by_hand():
    assert holm_p([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_p([0.5, 0.9]) == [1.0, 1.0]
    assert holm_p([]) == []


def test_what_has_no_p_is_no_part_of_the_family():
    tested = difference({1: 1.0, 2: 2.0}, {1: 0.0, 2: 0.0})
    one_seed = difference({1: 1.0}, {1: 0.0})
    assert [(d.p_holm, d.p_family) for d in correct([one_seed, tested], ["a", "a"])] == [(None, None), (0.5, 0.5)]
    assert correct([one_seed], ["a"])[0].decided is False
    assert correct([], []) == []


def step_down_by_hand(differences_NM, metrics):
    n, m = differences_NM.shape
    squares = (differences_NM**2).sum(0)
    centred = squares - np.abs(differences_NM).sum(0) ** 2 / n
    shared = np.array([np.median(centred[metrics == metric]) for metric in metrics])
    scaled = differences_NM / np.sqrt(squares + shared)
    observed = np.abs(scaled.sum(0))
    flipped = np.abs([(np.array(signs)[:, None] * scaled).sum(0) for signs in product([1, -1], repeat=n)])
    ps, largest = np.zeros(m), 0.0
    for rank, place in enumerate(np.argsort(-observed)):
        left = np.argsort(-observed)[rank:]
        largest = max(largest, (flipped[:, left].max(1) >= observed[place] - 1e-9).mean())
        ps[place] = largest
    return ps


@pytest.mark.parametrize("n", [2, 5, 7])
def test_joint_sign_flips_by_hand(n):
    metrics = np.array(list("aabbb"))
    differences = RANDOM.standard_normal((4, n, 5)) * [1, 3, 100, 200, 50] + [0, 5, 0, 300, 20]
    expected = [step_down_by_hand(one, metrics) for one in differences]
    assert step_down_p(differences, metrics) == pytest.approx(np.array(expected))


def test_the_corrected_p_is_never_below_the_bare_one_and_keeps_its_order_of_evidence():
    for one in correct(all_pairs(RANDOM.standard_normal((6, 5))), ["a"] * 10):
        assert one.p <= one.p_family <= 1
        assert one.p <= one.p_holm <= 1


def test_six_seeds_can_decide_ten_comparisons_jointly_but_not_by_holm():
    figures = noisy(6, [20, 0, 0, 0, 0])
    corrected = correct(all_pairs(figures), ["a"] * 10)
    assert [one.decided for one in corrected] == [True] * 4 + [False] * 6
    assert {one.p_family for one in corrected[:4]} == {0.03125}
    assert min(one.p_holm for one in corrected) == pytest.approx(0.3125)
    assert all(one.more_seeds is None for one in with_advice(corrected, ["a"] * 10, 0.01)[:4])


def test_units_of_metrics_play_no_part():
    figures = noisy(6, [2, 0, 0, 0])
    other = RANDOM.standard_normal((6, 4))
    metrics = ["a"] * 6 + ["b"] * 6
    plain = correct(all_pairs(figures) + all_pairs(other), metrics)
    scaled = correct(all_pairs(1e6 * figures) + all_pairs(1e-9 * other), metrics)
    assert [one.p_family for one in plain] == pytest.approx([one.p_family for one in scaled])


def test_unpaired_comparisons_are_a_second_block():
    """The paired ones keep the whole level once the other block is decided, and half of it while it is not."""
    pairs = all_pairs(noisy(6, [20, 0, 0]))
    figures = [{seed: float(x) for seed, x in enumerate(RANDOM.standard_normal(6) + s, 20 * s)} for s in (0, 9)]
    apart, equal = difference(*figures), difference(figures[0], {seed + 50: x + 0.1 for seed, x in figures[0].items()})
    whole = correct([*pairs, apart], ["a"] * 4)
    assert whole[0].p_family == 1 / 32 and whole[0].decided
    assert whole[-1].p_family == pytest.approx(2 * apart.p)
    halved = correct([*pairs, equal], ["a"] * 4)
    assert halved[0].p_family == 2 / 32 and not halved[0].decided
    only = correct([apart, apart], ["a", "b"])
    assert [one.p_family for one in only] == [one.p_holm for one in only] == pytest.approx([2 * apart.p] * 2)


def test_one_variant_with_other_seeds_leaves_the_others_decidable():
    variants = [dict(enumerate(column.tolist())) for column in noisy(8, [0, 9, 18]).T]
    variants.append({seed + 100: figure + 30 for seed, figure in variants[0].items()})
    found = correct([difference(a, b) for a, b in combinations(variants, 2)], ["a"] * 6)
    assert all(one.decided for one in found)


def test_a_later_look_needs_more():
    pairs = all_pairs(noisy(6, [20, 0]))
    first = level_after([])
    assert spent(pairs, first) == 1 / 32
    second = level_after([1 / 32])
    assert [correct(pairs, ["a"], level)[0].decided for level in (first, second)] == [True, False]
    assert spent(pairs, second) == 0
    assert spent(all_pairs(noisy(8, [0, 0])), first) == 5 / 128
    looks = []
    for _ in range(200):
        looks.append(level_after(looks))
    assert sum(looks) <= 0.05 and looks == sorted(looks, reverse=True)


def test_ranks_and_figures_stand_in_one_family():
    plain = all_pairs(noisy(8, [20, 0, 0]))
    lost = difference(
        {seed: (-1e9 if seed == 3 else 50.0 + seed) for seed in range(8)}, dict.fromkeys(range(8), 0.0), ranks=True
    )
    found = correct([*plain, lost], ["a"] * 4)
    assert found[0].p_family == correct(plain, ["a"] * 3)[0].p_family == 2 / 256
    assert found[-1].interval is None and found[-1].p_family > 0


@pytest.mark.parametrize("n", [6, 8, 17])
def test_intervals_hold_0_exactly_where_nothing_is_decided(n):
    """However small the advantage is by which it is decided or not."""
    for _ in range(20):
        found = correct(all_pairs(noisy(n, [1.5, 0, 0])) + all_pairs(noisy(n, [1, 0, 0])), ["a"] * 3 + ["b"] * 3)
        assert all(one.decided != (one.interval.low <= 0 <= one.interval.high) for one in found)
        assert all(one.interval.low < one.mean < one.interval.high for one in found)


def test_fewer_than_six_seeds_get_students_interval_for_all_comparisons():
    pairs = all_pairs(noisy(4, [0, 0, 0]))
    gaps = np.array(list(pairs[0].by_seed.values()))
    expected = scipy.stats.ttest_1samp(gaps, 0).confidence_interval(1 - 0.04 / 3)
    found = correct(pairs, ["a"] * 3)[0].interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_pairs_with_different_seeds_are_corrected_together():
    early, late = all_pairs(noisy(6, [9, 0])), all_pairs(RANDOM.standard_normal((6, 2)), 100)
    corrected = correct([*early, *late], ["a", "a"])
    assert corrected[0].p_family >= corrected[0].p
    assert corrected[0].decided
    assert not corrected[1].decided
