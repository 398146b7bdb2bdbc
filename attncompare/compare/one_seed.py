"""What runs from one seed show, and what not: in words, for the notes of a comparison."""

import math
from collections.abc import Mapping

import numpy as np
from scipy import stats

from attncompare.compare.groups import Comparison
from attncompare.compare.statistics import ALPHA, SEEDS
from attncompare.compare.verdicts import p_value, verdicts
from attncompare.tasks.metrics import Metric

ONE_SEED = f"one seed decides nothing: train more with seed={','.join(map(str, range(1, SEEDS + 1)))}"
_FEWEST = 4  # models: of three, the spread of two would have to judge the third


def one_seed_notes(comparison: Comparison) -> list[str]:
    """Return what the figures show in the most important metric, and that they decide nothing; nothing of several seeds.

    Two things can be seen: which leads another draw of test items would not turn, with the models as they are; and a model
    so far from all others that their spread does not explain it (Grubbs 1950), which holds seed noise and more.
    """
    ranked = comparison.ranked
    if len(ranked) < 2 or any(len(variant.seeds) != 1 for variant in ranked):
        return []
    if not comparison.tested:
        return [ONE_SEED]
    metric = comparison.tested[0]
    figures = {one.label: next(iter(comparison.figures(one, metric.name).values()), math.nan) for one in ranked}
    if not np.isfinite(list(figures.values())).all():
        return [ONE_SEED]
    shown = [told for told in (_over_items(comparison, metric, figures), _apart(metric, figures)) if told]
    return [*([f"one seed shows: {'; '.join(shown)}"] if shown else []), ONE_SEED]


def _over_items(comparison: Comparison, metric: type[Metric], figures: Mapping[str, float]) -> str | None:
    best = (max if metric.higher_is_better else min)(figures, key=lambda label: figures[label])
    pairs = [
        (one.second.label if one.first.label == best else one.first.label, one.difference.items)
        for one in verdicts(comparison)
        if one.metric is metric and not one.same_model and best in (one.first.label, one.second.label)
    ]
    tests = {other: test for other, test in pairs if test is not None}
    if not tests:
        return None
    behind = [other for other, test in tests.items() if len(tests) * test.p <= ALPHA]
    items = f"of its {next(iter(tests.values())).items} items"
    if not behind:
        return f"no lead in {metric.title} on this test set is larger than what another draw {items} explains"
    return f"{best} is ahead of {', '.join(behind)} in {metric.title} on this test set by more than another draw {items} explains"


def _apart(metric: type[Metric], figures: Mapping[str, float]) -> str | None:
    if len(figures) < _FEWEST:
        return None
    place, p = grubbs(np.array(list(figures.values())))
    if p > ALPHA:
        return None
    label, own = list(figures.items())[place]
    gap = min(abs(own - other) for name, other in figures.items() if name != label)
    far = f"{label} is {metric.format(gap)} {metric.measure()} or more from all others"
    what = f"farther than their spread explains (Grubbs' test, {p_value(p, ALPHA)})"
    return f"{far}, {what}: seed noise does so only if that of {label} is far larger than theirs"


def grubbs(values: np.ndarray) -> tuple[int, float]:
    """Return the place of the value farthest from the mean of all (N,), and the two-sided p of Grubbs' test for one outlier.

    Grubbs (1950), "Sample criteria for testing outlying observations"; p by Bonferroni's bound over the places. It is 1 where
    the other values do not differ, which tells nothing of noise. N is at least 3.
    """
    n, gaps = len(values), np.abs(values - values.mean())
    place = int(gaps.argmax())
    others = np.delete(values, place)
    if others.std() == 0:
        return place, 1.0
    # The same as Grubbs' statistic, by the distance from the others in units of their spread.
    t = abs(values[place] - others.mean()) / (others.std(ddof=1) * math.sqrt(1 + 1 / (n - 1)))
    return place, min(1.0, 2 * n * float(stats.t.sf(t, n - 2)))
