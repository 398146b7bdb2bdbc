"""A verdict in one plain sentence: what differs by how much, from how many seeds, and whether that is decided."""

from attncompare.compare.statistics import ALPHA, Difference, SentenceTest
from attncompare.text import Metric


def sentence(
    first: str, second: str, metric: Metric, difference: Difference, *, seeds: tuple[int, int], same_model: bool = False
) -> str:
    """Return the verdict on one pair of variants in one metric.

    Args:
        first: the label of the variant from which the second is subtracted.
        second: the label of the other.
        metric: what is compared.
        difference: first minus second, corrected for all comparisons.
        seeds: how many each has.
        same_model: whether both train the same model, from other seeds; then neither can be better.
    """
    if difference.n == 1:
        return f"{first} and {second}: {_of_one_seed(metric, difference)}"
    if difference.untestable or difference.p is None:
        return f"{first} and {second}: not tested in {metric.title}, {difference.untestable or 'a figure is missing'}"
    leads = difference.mean == 0 or (difference.mean > 0) == metric.higher_is_better
    ahead, behind = (first, second) if leads else (second, first)
    facts = _facts(difference, seeds)
    if difference.decided and not same_model:
        return f"{ahead} is better than {behind} by {_size(metric, difference, metric.measure())}, {facts}"
    gap = f"{ahead} ahead by {_size(metric, difference, 'points' if metric.unit == '%' else metric.unit)}, {facts}"
    if same_model:
        how = "told apart by chance" if difference.p <= ALPHA else "not decided"
        return f"{first} and {second} are the same model from different seeds: {how} in {metric.title} ({gap})"
    told = f"{ahead} and {behind}: not decided in {metric.title} ({gap})"
    if difference.more_seeds is None:
        return told
    return f"{told}: about {difference.more_seeds} more seed{'s' * (difference.more_seeds > 1)} needed"


def _size(metric: Metric, difference: Difference, unit: str) -> str:
    """Return how far the one ahead is ahead: "1.24 BLEU [0.41, 2.02]"."""
    flip = difference.mean < 0
    text = f"{metric.format(abs(difference.mean))} {unit}".rstrip()
    interval = difference.interval
    if interval is None:
        return text
    low, high = (0.0 - interval.high, 0.0 - interval.low) if flip else (interval.low, interval.high)
    return f"{text} [{metric.format(low)}, {metric.format(high)}]"


def _facts(difference: Difference, seeds: tuple[int, int]) -> str:
    """Return seeds and p: "6 seeds, p = 0.031"."""
    parts = [f"{difference.n} seeds" if difference.paired else f"{seeds[0]} and {seeds[1]} seeds, not paired"]
    parts.append(p_value(difference.p if difference.p_family is None else difference.p_family))
    return ", ".join(parts) + (f"; {_items(difference.sentences)}" if difference.sentences else "")


def _of_one_seed(metric: Metric, difference: Difference) -> str:
    if difference.untestable:
        return f"not compared in {metric.title}: {difference.untestable}"
    return f"{_gap(metric, difference)} apart, from one seed, which decides nothing"


def _gap(metric: Metric, difference: Difference) -> str:
    size = f"{metric.format(abs(difference.mean))} {metric.measure()}"
    return f"{size} ({_items(difference.sentences)})" if difference.sentences else size


def _items(test: SentenceTest) -> str:
    return f"over {test.units} {test.unit}s, {p_value(test.p)}"


def p_value(p: float | None) -> str:
    """Return "p = 0.031", to two digits, or three where two would put it on the other side of the limit."""
    if p is None:
        return "no p"
    if p < 0.001:
        return "p < 0.001"
    text = f"{p:.2g}"
    return f"p = {text}" if (float(text) <= ALPHA) == (p <= ALPHA) else f"p = {p:.3g}"
