"""The statistics of a comparison: is a difference between two variants real? docs/statistics.md has sources and checks.

results.py  what comes out: Interval, Estimate, Difference, ItemTest; the level of each look, at which differences are decided
seeds.py    one variant and one pair of variants over seeds: intervals, exact tests, effect, collapsed seeds
family.py   the correction for all comparisons, which decides, and intervals for all of them at once
plan.py     how many further seeds would decide the rest
items.py    two variants on the same test items: bootstrap and randomization
"""

from attncompare.compare.statistics.family import correct, spent
from attncompare.compare.statistics.items import FEWEST_ITEMS, MOST_ITEMS, Items, item_test, read_items
from attncompare.compare.statistics.plan import with_advice
from attncompare.compare.statistics.results import (
    ALPHA,
    SEEDS,
    Difference,
    Estimate,
    Interval,
    ItemTest,
    level_after,
)
from attncompare.compare.statistics.seeds import (
    collapsed,
    difference,
    estimate,
    rate_interval,
    robust_sd,
    t_interval,
    welch_interval,
)

__all__ = [
    "ALPHA",
    "FEWEST_ITEMS",
    "MOST_ITEMS",
    "SEEDS",
    "Difference",
    "Estimate",
    "Interval",
    "ItemTest",
    "Items",
    "collapsed",
    "correct",
    "difference",
    "estimate",
    "item_test",
    "level_after",
    "rate_interval",
    "read_items",
    "robust_sd",
    "spent",
    "t_interval",
    "welch_interval",
    "with_advice",
]
