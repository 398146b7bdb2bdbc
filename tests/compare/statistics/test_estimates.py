import math

import numpy as np
import pytest

from attncompare.compare.statistics import estimate
from attncompare.compare.statistics.estimates import bootstrap_t


def test_mean_and_standard_deviation():
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])
    assert (found.mean, found.n) == (4.0, 6)
    assert found.sd == pytest.approx(np.std([1, 2, 3, 4, 5, 9], ddof=1))
    assert found.interval.low < 4 < found.interval.high
    assert (found.interval.level, found.interval.method) == (0.95, "bootstrap-t")


def test_one_seed_gives_the_mean_alone():
    assert (estimate([3.5]).mean, estimate([3.5]).sd, estimate([3.5]).interval) == (3.5, None, None)
    with pytest.raises(ValueError, match="one seed at least"):
        estimate([])


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
