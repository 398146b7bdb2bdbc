"""What one run's test items (sentences or documents) add to a metric, read once from the record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attncompare.compare.statistics.chance import RESAMPLES, generator
from attncompare.compare.statistics.ngrams import ngram_counts
from attncompare.compare.statistics.results import Unit
from attncompare.compare.statistics.scores import BLEU_ORDER, CHRF_ORDER, ITEM_METRICS, SCORES

MOST_ITEMS = 20_000
"""With more, the resamples would take more memory than they tell."""
_BLOCK = 2**20  # numbers of a plan that are held as float64 at once
_LOSS_KEYS = {"loss": ("nats", "tokens"), "perplexity": ("nats", "tokens"), "bits_per_byte": ("nats", "bytes")}


@dataclass(frozen=True, eq=False)
class Items:
    """One run's test items in one metric: ``features_NF``, whose sums give the figure, and their ``ids``."""

    metric: str
    unit: Unit
    ids: tuple[Any, ...]
    features_NF: NDArray[np.float64]

    @property
    def score(self) -> float:
        """The metric over all items, as the run's summary has it."""
        return float(SCORES[self.metric](self.features_NF.sum(0)))

    @cached_property
    def resampled(self) -> NDArray[np.float64]:
        """Sums (R, F) over items drawn with replacement, the same draws for every run."""
        return _sums(_plan(len(self.ids))[0], self.features_NF)

    @cached_property
    def halves(self) -> NDArray[np.float64]:
        """Sums (R, F) over a random half of the items, the same halves for every run."""
        return _sums(_plan(len(self.ids))[1], self.features_NF)


def read_items(
    metric: str, rows: Sequence[Mapping[str, Any]], unit: Unit, *, tokenize: str = "13a", lowercase: bool = False
) -> Items | None:
    """Return the items of ``rows``, of the part of the record that ``ITEM_METRICS`` names for ``metric``.

    Args:
        metric: its key.
        rows: of that part.
        unit: what an item is.
        tokenize: how BLEU cuts text, as ``task.bleu_tokenize`` says.
        lowercase: whether BLEU ignores case.

    Returns:
        None if there are none, if they lack numbers or what the metric needs, or if a loss is not finite.
    """
    ids = tuple(row.get("id") for row in rows)
    if not rows or metric not in ITEM_METRICS or not all(isinstance(one, int) for one in ids):
        return None
    if ITEM_METRICS[metric] == "losses":
        features_NF = _losses(rows, _LOSS_KEYS[metric])
    elif all(isinstance(row.get(key), str) for row in rows for key in ("reference", "prediction")):
        references = [row["reference"] for row in rows]
        predictions = [row["prediction"] for row in rows]
        if metric == "bleu":
            features_NF = _bleu(predictions, references, tokenize, lowercase)
        else:
            features_NF = {"chrf": _chrf, "ter": _ter, "exact_match": _exact}[metric](predictions, references)
    else:
        return None
    if features_NF is None or not np.isfinite(features_NF).all():
        return None
    return Items(metric, unit, ids, features_NF)


def _losses(rows: Sequence[Mapping[str, Any]], keys: tuple[str, str]) -> NDArray[np.float64] | None:
    if not all(isinstance(row.get(key), int | float) for row in rows for key in keys):
        return None
    return np.array([[row[key] for key in keys] for row in rows], dtype=np.float64)


def _exact(predictions: list[str], references: list[str]) -> NDArray[np.float64]:
    pairs = zip(predictions, references, strict=True)
    return np.array([[prediction == reference, 1.0] for prediction, reference in pairs], dtype=np.float64)


def _bleu(predictions: list[str], references: list[str], tokenize: str, lowercase: bool) -> NDArray[np.float64]:
    """Count tokens and n-grams as sacrebleu does, by its own tokenizer."""
    from sacrebleu.metrics import BLEU

    cut, numbers = BLEU(tokenize=tokenize, force=True).tokenizer, dict[str, int]()

    def tokens(text: str) -> list[int]:
        text = text.lower() if lowercase else text
        return [numbers.setdefault(token, len(numbers)) for token in cut(text.rstrip()).split()]

    counts_NO3 = ngram_counts([tokens(p) for p in predictions], [tokens(r) for r in references], BLEU_ORDER)
    return np.concatenate([counts_NO3[:, 0, :2], counts_NO3[:, :, 2], counts_NO3[:, :, 0]], axis=1)


def _ter(predictions: list[str], references: list[str]) -> NDArray[np.float64]:
    """Count edits and reference words as sacrebleu does by default."""
    from sacrebleu.metrics import TER

    score = TER()
    pairs = zip(predictions, references, strict=True)
    found = [score.sentence_score(prediction, [reference]) for prediction, reference in pairs]
    return np.array([[one.num_edits, one.ref_length] for one in found], dtype=np.float64)


def _chrf(predictions: list[str], references: list[str]) -> NDArray[np.float64]:
    """Count n-grams of characters without white space; as in sacrebleu only where the reference has any of that length."""
    counts_NO3 = ngram_counts([_characters(p) for p in predictions], [_characters(r) for r in references], CHRF_ORDER)
    counts_NO3[:, :, 0] *= counts_NO3[:, :, 1] > 0
    return counts_NO3.reshape(len(predictions), -1)


def _characters(text: str) -> NDArray[np.uint32]:
    return np.frombuffer("".join(text.split()).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def resampled_sums(features_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sums (R, F) over N items drawn with replacement, of any number of items."""
    items, random = len(features_NF), generator()
    return np.concatenate([drawn_BN @ features_NF for drawn_BN in _draws(random, items)])


@lru_cache(maxsize=2)
def _plan(items: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return how often each item stands in each resample, and which half each belongs to (both R, N).

    In two bytes each, filled block by block: 20,000 items take 80 MB.
    """
    random = generator()
    drawn = np.concatenate([block.astype(np.uint16) for block in _draws(random, items)])
    halves = [random.integers(0, 2, size=(rows, items)).astype(np.uint16) for rows in _blocks(items)]
    return drawn, np.concatenate(halves)


def _draws(random: np.random.Generator, items: int) -> Iterator[NDArray[np.int64]]:
    """Yield how often each item stands in each resample, some resamples at a time."""
    shares = np.full(items, 1 / items)
    for rows in _blocks(items):
        yield random.multinomial(items, shares, size=rows)


def _blocks(items: int) -> list[int]:
    """Return how many resamples to hold at once, block by block, until there are all."""
    rows = max(1, _BLOCK // items)
    return [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]


def _sums(plan_RN: NDArray[np.uint16], features_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = max(1, _BLOCK // plan_RN.shape[1])
    blocks = range(0, len(plan_RN), rows)
    return np.concatenate([plan_RN[start : start + rows].astype(np.float64) @ features_NF for start in blocks])
