import pytest

from attncompare.bench.rounds import Timed
from attncompare.bench.spread import Spread, paired_ratio, spread


def test_median_and_quartiles():
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(3.0, 2.0, 4.0, 5)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0, 1)


def test_a_slow_round_leaves_the_paired_ratio_alone():
    base = [1.0, 1.0, 10.0, 1.0]
    assert paired_ratio([2 * one for one in base], base) == Spread(2.0, 2.0, 2.0, 4)
    with pytest.raises(ValueError, match="longer"):
        paired_ratio([1.0], base)


def test_times_as_ratios_and_rates():
    fast, slow = Timed(0, 0, (1.0, 2.0)), Timed(0, 0, (4.0, 8.0))
    assert slow.over(fast).median == 4.0
    assert fast.faster_than(slow).median == 4.0
    assert fast.rate(8).median == 6.0
