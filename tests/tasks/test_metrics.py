import math
from itertools import zip_longest

import numpy as np
import pytest
import torch
from sacrebleu.metrics import BLEU, CHRF, TER
from torchmetrics import MetricCollection

from attncompare.tasks.metrics import BitsPerByte, Bleu, ChrF, ExactMatch, Loss, Perplexity, Ter, TokenAccuracy

ALL = (Loss, Perplexity, BitsPerByte, TokenAccuracy, ExactMatch, Bleu, ChrF, Ter)
RANDOM = np.random.default_rng(0)
WORDS = ["the", "The", "1.5", "März", "a", "not", ",", "ab", "日本", "."]


def texts(count):
    return [" ".join(RANDOM.choice(WORDS, RANDOM.integers(0, 12))) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 3, 60])
@pytest.mark.parametrize(
    ("metric", "scorer"),
    [
        (Bleu(), BLEU()),
        (Bleu("char", lowercase=True), BLEU(tokenize="char", lowercase=True)),
        (Bleu("none"), BLEU(tokenize="none", force=True)),
        (ChrF(), CHRF()),
        (Ter(), TER()),
    ],
)
def test_figures_and_signatures_are_those_of_sacrebleu(metric, scorer, count):
    metric.reset()
    hypotheses, references = texts(count), texts(count)
    for start in range(0, count, 7):
        part = slice(start, start + 7)
        metric.update(hypotheses[part], references[part], list(range(count))[part])
    expected = scorer.corpus_score(hypotheses, [references]).score
    assert metric.compute().item() == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert metric.signature() == str(scorer.get_signature())
    rows = np.array(list(metric.item_sums().values()), dtype=float)
    assert len(rows) == count  # also where hypothesis and reference are empty
    for row, hypothesis, reference in zip(rows, hypotheses, references, strict=True):
        sentence = scorer.corpus_score([hypothesis], [[reference]]).score
        assert metric.value(row) == pytest.approx(sentence, rel=1e-12, abs=1e-12)
    # Several test sets at once, as resampling asks for them.
    assert metric.value(np.stack([rows.sum(0), rows[0]])).shape == (2,)


@pytest.mark.parametrize(("metric", "scorer"), [(Bleu(), BLEU()), (ChrF(), CHRF()), (Ter(), TER())])
@pytest.mark.parametrize("counts", [(3, 3, 3, 3), (1, 3, 2, 1)])
def test_several_references_count_as_sacrebleu_counts_them(metric, scorer, counts):
    metric.reset()
    hypotheses, streams = texts(4), [texts(4) for _ in range(3)]
    several = [[stream[row] for stream in streams[:count]] for row, count in enumerate(counts)]
    first = [references[0] for references in several]
    for part in (slice(0, 1), slice(1, 4)):
        metric.update(hypotheses[part], first[part], list(range(4))[part], all_references=several[part])
    expected = scorer.corpus_score(hypotheses, list(zip_longest(*several))).score
    assert metric.compute().item() == pytest.approx(expected, rel=1e-12)
    assert metric.signature() == str(scorer.get_signature())
    metric.reset()
    metric.update(hypotheses, first, list(range(4)))
    assert "nrefs:1|" in metric.signature()
    exact = ExactMatch()
    exact.update([several[0][-1], "no such text"], first[:2], [0, 1], all_references=several[:2])
    assert exact.compute().item() == 0.5


def test_metrics_of_tokens_are_ratios_of_sums_over_items():
    items_N, nats_N = torch.tensor([2, 0, 2, 0, 4]), torch.tensor([1.0, 2.0, 3.0, 4.0, 0.5])
    correct_N, bytes_N = torch.tensor([True, False, True, True, False]), torch.tensor([1, 2, 3, 4, 5])
    collection = MetricCollection({one.name: one() for one in (Loss, Perplexity, BitsPerByte, TokenAccuracy)})
    for part in (slice(0, 3), slice(3, 5)):
        collection.update(
            nats_N=nats_N[part], correct_N=correct_N[part], bytes_N=bytes_N[part], items_N=items_N[part], hypotheses=[]
        )
    found = {name: value.item() for name, value in collection.compute().items()}
    assert found == pytest.approx(
        {
            "loss": 10.5 / 5,
            "perplexity": math.exp(10.5 / 5),
            "bits_per_byte": 10.5 / 15 / math.log(2),
            "token_accuracy": 0.6,
        }
    )
    assert collection["loss"].item_sums() == {0: [6, 2], 2: [4, 2], 4: [0.5, 1]}
    assert collection["perplexity"].item_sums() == collection["loss"].item_sums()
    assert collection["token_accuracy"].item_sums() == {0: [1, 2], 2: [2, 2], 4: [0, 1]}
    collection.reset()
    assert collection["loss"].item_sums() == {}


def test_sums_keep_what_single_precision_would_lose():
    metric = Loss()
    for _ in range(2):
        metric.update(torch.full((2**15,), 0.1, dtype=torch.float64), torch.zeros(2**15, dtype=torch.int64))
    assert metric.item_sums()[0][0] == pytest.approx(0.1 * 2**16, rel=1e-12)


def test_perplexity_beyond_floating_point_is_infinite():
    assert Perplexity.value(np.array([[701.0, 1.0], [700.0, 1.0], [0.0, 1.0]])).tolist() == [math.inf, math.exp(700), 1]


def test_exact_match_is_a_share_of_sentences():
    metric = ExactMatch()
    metric.update(["a", "b", ""], ["a", "c", ""], [5, 6, 7])
    assert metric.compute() == pytest.approx(2 / 3) and metric.item_sums() == {5: [1, 1], 6: [0, 1], 7: [1, 1]}


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_every_metric_declares_what_reports_need(metric):
    assert metric.title and metric.short.count("\n") <= 1 and isinstance(metric.higher_is_better, bool)
    assert metric.format(None) == "–" and metric.format(0.5) and metric.describe() and metric.measure()
    assert metric.sums and len(set(metric.sums)) == len(metric.sums)


def test_shares_are_written_in_percent():
    assert ExactMatch.format(0.253) == "25.3" and ExactMatch.measure() == "points of exact match"
    assert Loss.format(2.0) == "2.0000" and Loss.describe() == "loss (nats per token)" and Bleu.measure() == "BLEU"
