"""The statistics of a comparison: is a difference between two variants real? docs/statistics.md has sources and checks.

results.py     what comes out: Interval, Estimate, Difference, SentenceTest; when a difference is decided
chance.py      the one fixed seed, so that the same runs always give the same figures
estimates.py   one variant: mean, standard deviation and bootstrap-t interval over its seeds
paired.py      two variants with common seeds: exact sign-flip test and t-interval
unpaired.py    two variants without: exact permutation of labels and Welch's interval
effect.py      how large a difference is, and how often one variant beats the other
power.py       about how many more seeds would decide it
difference.py  all of these for one pair of variants in one metric
holm.py        correction for many comparisons, of any tests
family.py      correction for many comparisons by joint sign flips, which decides
ngrams.py      n-grams of many sentences counted at once, for BLEU and chrF
scores.py      each metric as a function of sums over test items
items.py       what one run's test items add to these sums
resampling.py  two variants on the same test sentences or documents: bootstrap and randomization
"""

from attncompare.compare.statistics.difference import difference
from attncompare.compare.statistics.estimates import estimate
from attncompare.compare.statistics.family import correct, independent_blocks, westfall_young
from attncompare.compare.statistics.holm import holm
from attncompare.compare.statistics.items import MOST_ITEMS, Items, read_items
from attncompare.compare.statistics.resampling import sentence_test
from attncompare.compare.statistics.results import ALPHA, Difference, Estimate, Interval, SentenceTest
from attncompare.compare.statistics.scores import ITEM_METRICS

__all__ = [
    "ALPHA",
    "ITEM_METRICS",
    "MOST_ITEMS",
    "Difference",
    "Estimate",
    "Interval",
    "Items",
    "SentenceTest",
    "correct",
    "difference",
    "estimate",
    "holm",
    "independent_blocks",
    "read_items",
    "sentence_test",
    "westfall_young",
]
