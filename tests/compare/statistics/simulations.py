"""Simulated comparisons of which the truth is known; each function returns how often something happened.

Figures are of variants K over seeds N, in units of the seed noise of one variant; X families are simulated at once.
"""

from itertools import combinations

import numpy as np

from attncompare.compare.statistics import (
    Items,
    collapsed,
    correct,
    difference,
    item_test,
    level_after,
    spent,
    t_interval,
    welch_interval,
    with_advice,
)
from attncompare.compare.statistics.family import holm_p, step_down_p
from attncompare.compare.statistics.seeds import bootstrap_t, permutation_p, sign_choices, sign_flip_p
from attncompare.tasks.metrics import ExactMatch, Loss

FIRST = level_after([])
ITEMS_LEVEL = 0.05


def normal(random, shape):
    return random.standard_normal(shape)


def skewed(random, shape):
    return random.exponential(size=shape) - 1


def heavy(random, shape):
    return random.standard_t(3, size=shape) / np.sqrt(3)


def lognormal(random, shape):
    return (random.lognormal(size=shape) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)


def bound(rate, times):
    """Return what a true ``rate`` stays below in all but one of a thousand such simulations."""
    return rate + 3.1 * np.sqrt(rate * (1 - rate) / times)


def pair_rejections(times, n, shift=0.0, noise=normal, seed=0):
    """Return how often the paired test of one pair rejects; the seeds share noise, as data order and weights do."""
    random = np.random.default_rng(seed)
    own = noise(random, (times, n, 2)) + random.standard_normal((times, n, 1))
    return (sign_flip_p(own[:, :, 0] + shift - own[:, :, 1]) <= FIRST).mean()


def unpaired_rejections(times, n, m, shift=0.0, spread=1.0, noise=normal, seed=0):
    random = np.random.default_rng(seed)
    first, second = noise(random, (times, n)), noise(random, (times, m)) * spread
    blocks = [slice(start, start + 200) for start in range(0, times, 200)]  # thousands of deals for each
    return np.mean(np.concatenate([permutation_p(first[b] + shift, second[b]) for b in blocks]) <= FIRST)


def families(times, n, means, spreads=None, metrics=1, noise=normal, seed=0, baseline=False):
    """Return (differences (X, N, M), metric of each, which are truly zero (M,)); the metrics of a run go together.

    ``means``: of each variant, or of each variant in each metric. ``baseline``: only the pairs of the first variant.
    """
    random = np.random.default_rng(seed)
    shape = (times, n, len(means), 1)
    together, apart = noise(random, shape), noise(random, (*shape[:-1], metrics))
    figures = (together + 0.5 * apart) / np.sqrt(1.25) * np.array(spreads or [1.0] * len(means))[:, None]
    means_KM = np.array([np.broadcast_to(mean, metrics) for mean in means], dtype=float)
    figures = figures + means_KM
    pairs = [pair for pair in combinations(range(len(means)), 2) if not baseline or pair[0] == 0]
    first, second = np.array(pairs).T
    differences = (figures[:, :, first] - figures[:, :, second]).reshape(times, n, -1)
    zero = (means_KM[first] == means_KM[second]).flatten()
    return differences, np.tile(np.arange(metrics).astype(str), len(first)), zero


def family_errors(times, n, means, **options):
    """Return how often at least one true null is rejected, by joint sign flips and by Holm."""
    differences, metrics, zero = families(times, n, means, **options)
    joint = (step_down_p(differences, metrics) <= FIRST)[:, zero].any(1).mean()
    alone = np.array([sign_flip_p(one.T) for one in differences])
    return joint, np.mean([(np.array(holm_p(ps)) <= FIRST)[zero].any() for ps in alone])


def family_power(times, n, means, **options):
    """Return the share of the real differences that joint sign flips decide."""
    differences, metrics, zero = families(times, n, means, **options)
    return (step_down_p(differences, metrics) <= FIRST)[:, ~zero].mean()


def chosen_baseline_errors(times, n, variants):
    """Return how often equal variants are told apart from that of them which was chosen for its mean, the farthest off."""
    random = np.random.default_rng(0)
    figures_XNK = random.standard_normal((times, n, variants))
    means_XK = figures_XNK.mean(1)
    chosen_X = np.abs(means_XK - np.median(means_XK, axis=1, keepdims=True)).argmax(1)
    gaps = figures_XNK - np.take_along_axis(figures_XNK, chosen_X[:, None, None], axis=2)
    others = np.array([np.delete(gap, place, axis=1) for gap, place in zip(gaps, chosen_X, strict=True)])
    return (step_down_p(others, np.array(["a"] * (variants - 1))) <= FIRST).any(1).mean()


def power_beside(times, n, far, **options):
    """Return in how many cases a pair 2 apart is decided in each of 2 metrics, beside two equal variants and ``far`` ones."""
    differences, metrics, _ = families(times, n, [0, 2, 0, 0, *far], metrics=2, **options)
    return (step_down_p(differences, metrics) <= FIRST)[:, :2].mean(0)


def growing_errors(times, variants, metrics, looks, fixed=None, seed=0):
    """Return in how many families of equal variants one difference is decided at one of ``looks``, numbers of seeds.

    ``fixed``: the level of every look, instead of what is left.
    """
    differences, names, _ = families(times, max(looks), [0] * variants, metrics=metrics, seed=seed)
    erred, before = np.zeros(times, bool), []
    for n in looks:
        level = fixed or level_after(before)
        erred |= (step_down_p(differences[:, :n], names, sign_choices(n, 2**10)) <= level).any(1)
        before.append(int(level * 2 ** (n - 1)) / 2 ** (n - 1))
    return erred.mean()


def tuning_errors(times, n, values, noise=0.95, seed=0):
    """Return how often two equal variants are told apart of which the first had ``values`` to pick from, the second one.

    Values are equally good; each is tried with all ``n`` seeds, and the one with the best mean on val is tested. Val and test
    of a run share a part of ``noise``.
    """
    random = np.random.default_rng(seed)
    runs_XVN = random.standard_normal((times, values, n)) * noise
    val_XVN, test_XVN = (
        runs_XVN + np.sqrt(1 - noise**2) * random.standard_normal((times, values, n)) for _ in range(2)
    )
    picked_X = val_XVN.mean(2).argmax(1)
    tested_XN = np.take_along_axis(test_XVN, picked_X[:, None, None], axis=1)[:, 0]
    return (sign_flip_p(tested_XN - random.standard_normal((times, n))) <= FIRST).mean()


def pairs_of(figures_NKM):
    """Return (the difference of each pair of K variants in each of M metrics, the metric of each)."""
    count = figures_NKM.shape[1]
    found, metrics = [], []
    for metric in range(figures_NKM.shape[2]):
        columns = [dict(enumerate(figures_NKM[:, variant, metric].tolist())) for variant in range(count)]
        found += [difference(columns[one], columns[other]) for one, other in combinations(range(count), 2)]
        metrics += [str(metric)] * (count * (count - 1) // 2)
    return found, metrics


def drawn(random, n, means, metrics):
    """Return figures (N, K, M) around ``means`` with seed noise of 1, of which those of a run go together."""
    together, apart = random.standard_normal((n, len(means), 1)), random.standard_normal((n, len(means), metrics))
    return (together + 0.5 * apart) / np.sqrt(1.25) + np.array(means, dtype=float)[:, None]


def advised_errors(times, variants, metrics, most=40, seed=0):
    """Return how often equal variants are told apart by whoever adds as many seeds as advised, and tests again."""
    random, erred = np.random.default_rng(seed), 0
    for _ in range(times):
        figures, before = drawn(random, 6, [0] * variants, metrics), []
        while True:
            found, names = pairs_of(figures)
            found = correct(found, names, level_after(before))
            before.append(spent(found, level_after(before)))
            found = with_advice(found, names, level_after(before))
            advice = [one.more_seeds[0] for one in found if one.more_seeds]
            if any(one.decided for one in found) or not advice or len(figures) + min(advice) > most:
                break
            figures = np.concatenate([figures, drawn(random, min(advice), [0] * variants, metrics)])
        erred += any(one.decided for one in found)
    return erred / times


def advised_power(times, n, means, metrics=1, seed=0):
    """Return (the middle of the advice, how often it decides) for ``n`` seeds of which each variant has its true mean and noise.

    Those seeds stay, and as many as the middle of the range are added. Of the real differences one is followed in each case.
    """
    random, decided, asked = np.random.default_rng(seed), [], []
    for _ in range(times):
        figures = drawn(random, n, [0] * len(means), metrics)
        figures = (figures - figures.mean(0)) / figures.std(0, ddof=1)
        if (
            metrics == 1 and len(means) < n
        ):  # without chance correlations, so that the noise of differences is known too
            figures = np.linalg.qr(figures[:, :, 0])[0][:, :, None] * np.sqrt(n - 1)
        figures += np.array(means, dtype=float)[:, None]
        found, names = pairs_of(figures)
        found = correct(found, names)
        later = level_after([spent(found, FIRST)])
        found = with_advice(found, names, later)
        real = [place for place, one in enumerate(found) if abs(one.mean) > 1e-9 and one.more_seeds]
        if not real:
            continue
        place = real[random.integers(len(real))]
        further = sum(found[place].more_seeds) // 2
        asked.append(further)
        for _ in range(5):
            again, names = pairs_of(np.concatenate([figures, drawn(random, further, means, metrics)]))
            decided.append(correct(again, names, later)[place].decided)
    return np.median(asked), np.mean(decided)


def joint_coverage(times, n, means, metrics=1, seed=0):
    """Return (how often the intervals of all pairs hold the truth, how often one disagrees with its verdict about 0)."""
    random, covered, inconsistent = np.random.default_rng(seed), 0, 0
    for _ in range(times):
        found, names = pairs_of(drawn(random, n, means, metrics))
        truths = [one - other for _ in range(metrics) for one, other in combinations(means, 2)]
        found = correct(found, names)
        inside = [one.interval.low <= truth <= one.interval.high for one, truth in zip(found, truths, strict=True)]
        covered += all(inside)
        inconsistent += sum(one.decided == (one.interval.low <= 0 <= one.interval.high) for one in found)
    return covered / times, inconsistent / times


def margin_errors(times, n, margin, variants=3, seed=0):
    """Return how often a pair that differs by exactly ``margin`` is said to differ by less, and equal ones are."""
    random, wrong, right = np.random.default_rng(seed), 0, 0
    for _ in range(times):
        found, names = pairs_of(drawn(random, n, [margin, *[0] * (variants - 1)], 1))
        found = correct(found, names)
        wrong += any(one.within(margin) for one in found[: variants - 1])
        right += found[-1].within(margin)
    return wrong / times, right / times


def collapsing(random, times, n, rate, fall):
    """Return figures (X, N) with noise of 1 around 0 of which a share ``rate`` lies ``fall`` lower."""
    return random.standard_normal((times, n)) - fall * (random.random((times, n)) < rate)


def collapse_errors(times, n, rate, fall, seed=0):
    """Return how often a verdict is wrong: of two variants that both collapse, and of one that makes up for its collapses.

    The second variant of the second pair has the same mean only with its collapsed seeds: a verdict on means that prefers one
    of them is wrong. Last, how often that verdict said that it goes by means.
    """
    random = np.random.default_rng(seed)
    both = [collapsing(random, times, n, rate, fall) for _ in range(2)]
    alone = [random.standard_normal((times, n)), collapsing(random, times, n, rate, fall) + rate * fall]
    rates = []
    for first, second in (both, alone):
        decided = means = 0
        for a, b in zip(first, second, strict=True):
            figures = [dict(enumerate(one.tolist())) for one in (a, b)]
            ranks = any(collapsed(one, 1.0, higher_is_better=True) for one in figures)
            (found,) = correct([difference(*figures, ranks=ranks)], ["a"])
            decided += found.decided
            means += found.decided and not found.ranks
        rates += [decided / times, means / times]
    return rates


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
        rejected += test.p <= ITEMS_LEVEL
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
        rejected += test.p <= ITEMS_LEVEL
    return covered / times, rejected / times


def both_sources_coverage(times, n, sentences=100, seed_effect=0.3, seed=0):
    """Return how often the intervals over seeds, and over seeds and items, hold a true difference of 0 (of all sentences)."""
    random, covered = np.random.default_rng(seed), np.zeros(2)
    ids = tuple(range(sentences))
    for _ in range(times):
        hard = random.standard_normal((sentences, 1, 1))
        lean = 0.5 * random.standard_normal((sentences, 1, 2))  # a sentence suits one variant more than the other
        ease = hard + lean + seed_effect * random.standard_normal((1, n, 2))
        right = random.random((sentences, n, 2)) < 1 / (1 + np.exp(-ease))
        runs = [
            {run: Items(ExactMatch, ids, np.stack([right[:, run, side], np.ones(sentences)], 1)) for run in range(n)}
            for side in range(2)
        ]
        figures = [{run: float(right[:, run, side].mean()) for run in range(n)} for side in range(2)]
        found = difference(*figures, items=item_test(*runs))
        covered += [one.low <= 0 <= one.high for one in (found.interval, found.interval_items)]
    return covered / times
