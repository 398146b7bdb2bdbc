"""Simulated comparisons of which the truth is known; each function returns how often something happened.

Figures are of variants K over seeds N, in units of the seed noise of one variant; X families are simulated at once.
"""

from itertools import combinations

import numpy as np

from attncompare.compare.statistics import Difference, Items, item_test, t_interval
from attncompare.compare.statistics.family import holm_p, independent_comparisons, step_down_p
from attncompare.compare.statistics.results import ALPHA
from attncompare.compare.statistics.seeds import bootstrap_t, more_seeds, permutation_p, sign_flip_p, welch_interval
from attncompare.tasks.metrics import ExactMatch, Loss


def normal(random, shape):
    return random.standard_normal(shape)


def skewed(random, shape):
    return random.exponential(size=shape) - 1


def heavy(random, shape):
    return random.standard_t(3, size=shape) / np.sqrt(3)


def bound(rate, times):
    """Return what a true ``rate`` stays below in all but one of a thousand such simulations."""
    return rate + 3.1 * np.sqrt(rate * (1 - rate) / times)


def pair_rejections(times, n, shift=0.0, noise=normal, seed=0):
    """Return how often the paired test of one pair rejects; the seeds share noise, as data order and weights do."""
    random = np.random.default_rng(seed)
    own = noise(random, (times, n, 2)) + random.standard_normal((times, n, 1))
    return (sign_flip_p(own[:, :, 0] + shift - own[:, :, 1]) <= ALPHA).mean()


def unpaired_rejections(times, n, m, shift=0.0, spread=1.0, noise=normal, seed=0):
    random = np.random.default_rng(seed)
    first, second = noise(random, (times, n)), noise(random, (times, m)) * spread
    blocks = [slice(start, start + 200) for start in range(0, times, 200)]  # thousands of deals for each
    return np.mean(np.concatenate([permutation_p(first[b] + shift, second[b]) for b in blocks]) <= ALPHA)


def families(times, n, means, spreads=None, metrics=1, noise=normal, seed=0):
    """Return (differences (X, N, M), metric of each, which are truly zero (M,)); the metrics of a run go together.

    ``means``: of each variant, or of each variant in each metric.
    """
    random = np.random.default_rng(seed)
    shape = (times, n, len(means), 1)
    together, apart = noise(random, shape), noise(random, (*shape[:-1], metrics))
    figures = (together + 0.5 * apart) / np.sqrt(1.25) * np.array(spreads or [1.0] * len(means))[:, None]
    means_KM = np.array([np.broadcast_to(mean, metrics) for mean in means], dtype=float)
    figures = figures + means_KM
    first, second = np.array(list(combinations(range(len(means)), 2))).T
    differences = (figures[:, :, first] - figures[:, :, second]).reshape(times, n, -1)
    zero = (means_KM[first] == means_KM[second]).flatten()
    return differences, np.tile(np.arange(metrics).astype(str), len(first)), zero


def family_errors(times, n, means, **options):
    """Return how often at least one true null is rejected, by joint sign flips and by Holm."""
    differences, metrics, zero = families(times, n, means, **options)
    joint = (step_down_p(differences, metrics) <= ALPHA)[:, zero].any(1).mean()
    alone = np.array([sign_flip_p(one.T) for one in differences])
    return joint, np.mean([(np.array(holm_p(ps)) <= ALPHA)[zero].any() for ps in alone])


def family_power(times, n, means, **options):
    """Return the share of the real differences that joint sign flips decide."""
    differences, metrics, zero = families(times, n, means, **options)
    return (step_down_p(differences, metrics) <= ALPHA)[:, ~zero].mean()


def power_beside(times, n, far, **options):
    """Return in how many cases a pair 2 apart is decided in each of 2 metrics, beside two equal variants and ``far`` ones."""
    differences, metrics, _ = families(times, n, [0, 2, 0, 0, *far], metrics=2, **options)
    return (step_down_p(differences, metrics) <= ALPHA)[:, :2].mean(0)


def planned_power(times, n, means, **options):
    """Return (seeds that ``more_seeds`` asks for beyond ``n``, power with them), if the true effect were observed."""
    observed, _, _ = families(50, n, means, **options)
    comparisons = np.mean([independent_comparisons(one) for one in observed])
    effect = max(means) / np.sqrt(2)
    undecided = Difference(max(means), None, n, True, p=1.0, effect_size=effect)
    further = more_seeds(undecided, comparisons)
    return further, family_power(times, n + further, means, **options)


def mean_coverage(times, n, noise=normal, seed=0):
    """Return how often the bootstrap-t interval of the mean of ``n`` seeds holds the true mean, 0."""
    values = noise(np.random.default_rng(seed), (times, n))
    ends = [bootstrap_t(values[start : start + 500]) for start in range(0, times, 500)]
    return np.concatenate([(low <= 0) & (high >= 0) for low, high in ends]).mean()


def difference_coverage(times, n, noise=normal, seed=0):
    """Return how often the intervals of a difference hold it: of pairs, and of groups of unequal noise."""
    random = np.random.default_rng(seed)
    first, second = noise(random, (times, n)), noise(random, (times, n))
    pairs = [t_interval(d.mean(), d.std(ddof=1), n) for d in first - second]
    groups = [welch_interval(a, b) for a, b in zip(first, 3 * second, strict=True)]
    return [np.mean([i.low <= 0 <= i.high for i in intervals]) for intervals in (pairs, groups)]


def sentence_rejections(times, sentences=200, seeds=3, seed_effect=0.0, sentence_effect=1.0, seed=0):
    """Return how often the sentence test finds two equal variants different, by exact matches.

    Whether a translation is right depends on the sentence, on the run (``seed_effect``), and on chance.
    """
    random, rejected = np.random.default_rng(seed), 0
    ids = tuple(range(sentences))
    for _ in range(times):
        hard = sentence_effect * random.standard_normal((sentences, 1))
        ease = hard + seed_effect * random.standard_normal((1, 2 * seeds))
        right = random.random((sentences, 2 * seeds)) < 1 / (1 + np.exp(-ease))
        runs = [Items(ExactMatch, ids, np.stack([column, np.ones(sentences)], axis=1)) for column in right.T]
        test = item_test(dict(enumerate(runs[:seeds])), dict(enumerate(runs[seeds:])))
        rejected += test.p <= ALPHA
    return rejected / times


def document_coverage(times, documents, seed=0):
    """Return (how often the block bootstrap holds the true difference of two language models, how often it rejects 0).

    Documents are of very different lengths, and each suits one model or the other throughout; the true difference is 0.
    """
    random, covered, rejected = np.random.default_rng(seed), 0, 0
    ids = tuple(range(documents))
    for _ in range(times):
        tokens = np.ceil(random.lognormal(5, 1, documents))
        level, lean = 2 + 0.3 * random.standard_normal(documents), 0.1 * random.standard_normal(documents)
        models = [Items(Loss, ids, np.stack([tokens * (level + side * lean), tokens], 1)) for side in (-1, 1)]
        test = item_test({0: models[0]}, {0: models[1]})
        covered += test.interval.low <= 0 <= test.interval.high
        rejected += test.p <= ALPHA
    return covered / times, rejected / times
