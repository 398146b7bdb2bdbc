"""The statistics of a comparison: is a difference between two variants real? docs/statistics.md has sources and checks.

results.py  what comes out: Interval, Estimate, Difference, ItemTest; when a difference is decided
seeds.py    one variant and one pair of variants over seeds: intervals, exact tests, effect, seeds that are missing
family.py   the correction for all comparisons, which decides
items.py    two variants on the same test items: bootstrap and randomization
"""

from attncompare.compare.statistics.family import correct, independent_blocks
from attncompare.compare.statistics.items import MOST_ITEMS, Items, item_test, read_items
from attncompare.compare.statistics.results import ALPHA, Difference, Estimate, Interval, ItemTest
from attncompare.compare.statistics.seeds import difference, estimate, t_interval

__all__ = [
    "ALPHA",
    "MOST_ITEMS",
    "Difference",
    "Estimate",
    "Interval",
    "ItemTest",
    "Items",
    "correct",
    "difference",
    "estimate",
    "independent_blocks",
    "item_test",
    "read_items",
    "t_interval",
]
