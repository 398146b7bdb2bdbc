"""Each metric as a function of sums over test items, for any number of resampled test sets at once.

``sums`` is (..., F): what items.py counts of each item, added up over the items of a test set.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

BLEU_ORDER, CHRF_ORDER, CHRF_BETA = 4, 6, 2
Sums = NDArray[np.float64]


def bleu(sums: Sums) -> Sums:
    """Return BLEU (Papineni et al. 2002) in percent, smoothed as sacrebleu does by default (exp).

    Features: tokens of hypothesis and reference, then matches and n-grams of the hypothesis for n = 1 to 4.
    """
    length, reference = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2 : 2 + BLEU_ORDER], sums[..., 2 + BLEU_ORDER :]
    # Each order without a match counts as half a match, the next such order as a quarter, and so on.
    halvings = np.cumsum((matches == 0) & (totals > 0), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(matches > 0, matches, 0.5**halvings) / totals)
        brevity = np.minimum(0.0, 1 - reference / length)
        score = 100 * np.exp(brevity + logs.mean(-1))
    # Without any 4-gram, or without any match, it is 0.
    scored: Sums = np.where((totals[..., -1] > 0) & (matches.sum(-1) > 0), score, 0.0)
    return scored


def chrf(sums: Sums) -> Sums:
    """Return chrF2 (Popović 2015) in percent, as sacrebleu does by default.

    Features: n-grams of hypothesis, of reference, and in both, for each n from 1 to 6.
    """
    hypothesis, reference, matches = (sums[..., column::3] for column in range(3))
    counted = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(counted.sum(-1), 1)
    precision = (np.where(counted, matches, 0) / np.where(counted, hypothesis, 1)).sum(-1) / orders
    recall = (np.where(counted, matches, 0) / np.where(counted, reference, 1)).sum(-1) / orders
    below = CHRF_BETA**2 * precision + recall
    score: Sums = 100 * (1 + CHRF_BETA**2) * precision * recall / np.where(below > 0, below, 1)
    return score


def ter(sums: Sums) -> Sums:
    """Return TER (Snover et al. 2006) in percent.

    Features: edits of the hypothesis, and words of the reference; without any of these it is 100 where there were edits.
    """
    edits, words = sums[..., 0], sums[..., 1]
    score: Sums = 100 * np.where(words > 0, edits / np.where(words > 0, words, 1), edits > 0)
    return score


def ratio(sums: Sums) -> Sums:
    """Return the ratio of two sums, as nats a token or the share of exact matches."""
    quotient: Sums = sums[..., 0] / sums[..., 1]
    return quotient


def bits(sums: Sums) -> Sums:
    """Return nats and bytes as bits per byte."""
    return ratio(sums) / math.log(2)


def perplexity(sums: Sums) -> Sums:
    """Return nats and tokens as perplexity."""
    with np.errstate(over="ignore"):
        value: Sums = np.exp(ratio(sums))
    return value


SCORES: Mapping[str, Callable[[Sums], Sums]] = {
    "bleu": bleu,
    "chrf": chrf,
    "ter": ter,
    "exact_match": ratio,
    "loss": ratio,
    "perplexity": perplexity,
    "bits_per_byte": bits,
}
ITEM_METRICS: Mapping[str, Literal["predictions", "losses"]] = {
    "bleu": "predictions",
    "chrf": "predictions",
    "ter": "predictions",
    "exact_match": "predictions",
    "loss": "losses",
    "perplexity": "losses",
    "bits_per_byte": "losses",
}
"""The metrics that have figures of single test items, and which part of the record has them."""
