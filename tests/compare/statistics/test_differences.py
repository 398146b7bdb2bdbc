import math

import numpy as np
import pytest
import scipy.stats

from attncompare.compare.statistics import difference
from attncompare.compare.statistics.effect import probability_of_improvement
from attncompare.compare.statistics.power import power
from attncompare.compare.statistics.results import Difference

HIGH = {1: 31.0, 2: 32.1, 3: 30.9, 4: 31.5, 5: 31.7, 6: 32.0}
LOW = {1: 30.0, 2: 30.8, 3: 30.1, 4: 30.4, 5: 30.3, 6: 31.2}


def test_common_seeds_are_pairs():
    found = difference(HIGH, LOW, higher_is_better=True)
    gaps = [HIGH[seed] - LOW[seed] for seed in HIGH]
    assert (found.n, found.paired, found.p, found.smallest_p) == (6, True, 0.03125, 0.03125)
    assert found.mean == pytest.approx(np.mean(gaps))
    expected = scipy.stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert list(found.by_seed.values()) == pytest.approx(gaps)
    assert found.effect_size == pytest.approx(np.mean(gaps) / np.std(gaps, ddof=1) * (1 - 3 / 19))
    assert found.more_seeds is None


def test_the_other_way_round_is_the_mirror_image():
    one, other = difference(HIGH, LOW, higher_is_better=True), difference(LOW, HIGH, higher_is_better=True)
    assert other.mean == -one.mean
    assert other.p == one.p
    assert other.interval.low == pytest.approx(-one.interval.high)
    assert other.effect_size == pytest.approx(-one.effect_size)
    assert other.probability_of_improvement == pytest.approx(1 - one.probability_of_improvement)


def test_only_common_seeds_count_where_one_variant_has_all_of_the_other():
    found = difference({**HIGH, 7: 1e9}, LOW, higher_is_better=True)
    assert found.by_seed == difference(HIGH, LOW, higher_is_better=True).by_seed


@pytest.mark.parametrize("figure", [0.0, 1e9, -1e9])
def test_seeds_alone_decide_whether_there_are_pairs(figure):
    found = difference({**HIGH, 7: figure}, {**LOW, 8: -figure}, higher_is_better=True)
    assert not found.paired and found.n == 7


def test_so_many_common_seeds_that_pairs_reach_as_far_make_pairs():
    many = {seed: float(seed % 5) for seed in range(17)}
    found = difference({**many, 20: 1.0}, {**many, 21: 1.0}, higher_is_better=True)
    assert found.paired and found.n == 17


@pytest.mark.parametrize("shift", [6, 5, 4, 1])  # common seeds: none, one, two, five
def test_without_common_seeds_all_figures_count(shift):
    found = difference(HIGH, {seed + shift: figure for seed, figure in LOW.items()}, higher_is_better=True)
    assert (found.n, found.paired, found.by_seed) == (6, False, {})
    assert found.smallest_p == pytest.approx(2 / math.comb(12, 6))
    assert found.p <= 0.05
    assert found.interval.method == "Welch"
    assert found.test == "permutation of labels, all"


@pytest.mark.parametrize("second", [{1: 30.0}, {2: 30.0}, {1: 30.0, 2: 31.0, 3: 30.5}])
def test_one_seed_gives_the_mean_alone(second):
    found = difference({1: 31.0}, second, higher_is_better=True)
    assert found == Difference(
        31.0 - (30.0 if 1 in second else np.mean(list(second.values()))),
        *(None, 1, 1 in second, None, None, None, None, None, None, None),
    )
    assert not found.decided


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e300])
@pytest.mark.parametrize("paired", [True, False])
def test_a_diverged_run_makes_the_pair_untestable_and_says_so(odd, paired):
    other = LOW if paired else {seed + 10: figure for seed, figure in LOW.items()}
    found = difference({**HIGH, 3: odd}, other, higher_is_better=False)
    assert (found.p, found.interval, found.effect_size, found.more_seeds) == (None, None, None, None)
    assert found.untestable == f"the figure of seed 3 is {odd:g}"


def test_a_figure_is_needed():
    with pytest.raises(ValueError, match="one seed of each"):
        difference({}, LOW, higher_is_better=True)


def test_improvement_is_a_share_of_pairs_and_ties_count_half():
    first, second = np.array([1.0, 2.0]), np.array([1.0, 0.0])
    assert probability_of_improvement(first, second, higher_is_better=True) == 3.5 / 4
    assert probability_of_improvement(first, second, higher_is_better=False) == 0.5 / 4


def test_five_seeds_that_agree_need_one_more():
    found = difference({s: 10.0 + s / 10 for s in range(5)}, dict.fromkeys(range(5), 0.0), higher_is_better=True)
    assert (found.p, found.more_seeds) == (0.0625, 1)
    constant = difference(dict.fromkeys(range(5), 1.0), dict.fromkeys(range(5), 0.0), higher_is_better=True)
    assert (constant.effect_size, constant.more_seeds) == (None, 1)
    unpaired = difference({0: 0.0, 1: 0.1, 2: 0.2}, {3: 9.0, 4: 9.1, 5: 9.2}, higher_is_better=True)
    assert unpaired.more_seeds == 1


def test_where_nothing_differs_no_number_of_seeds_is_named():
    zero = dict.fromkeys(range(6), 0.0)
    assert difference(zero, zero, higher_is_better=True).more_seeds is None
    balanced = {seed: (-1.0) ** seed for seed in range(6)}
    assert difference(balanced, zero, higher_is_better=True).more_seeds is None


def test_smaller_effects_need_more_seeds():
    noise = {0: 1.0, 1: -1.0, 2: 0.5, 3: -0.5, 4: 0.0, 5: 0.1}
    needed = [
        difference(
            {s: x + shift for s, x in noise.items()}, dict.fromkeys(noise, 0.0), higher_is_better=True
        ).more_seeds
        for shift in (0.5, 0.4, 0.3)
    ]
    assert needed == sorted(needed)
    assert needed[0] < needed[-1]


def test_power_is_that_of_simulated_t_tests():
    random = np.random.default_rng(0)
    values = random.standard_normal((20_000, 8)) + 1.2
    rejected = scipy.stats.ttest_1samp(values, 0, axis=1).pvalue <= 0.05
    assert power(1.2, 8, True, 0.05) == pytest.approx(rejected.mean(), abs=0.01)
    both = random.standard_normal((2, 20_000, 6)) + np.array([1.5, 0]).reshape(2, 1, 1)
    rejected = scipy.stats.ttest_ind(*both, axis=1).pvalue <= 0.01
    assert power(1.5, 6, False, 0.01) == pytest.approx(rejected.mean(), abs=0.015)
    assert [power(effect, 5, True, 0.05) for effect in (1e6, math.inf)] == [1, 1]
