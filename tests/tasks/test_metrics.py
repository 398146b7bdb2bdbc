import json
import math
import subprocess
import sys
from itertools import zip_longest

import numpy as np
import pytest
import torch
from sacrebleu.metrics import BLEU, CHRF, TER
from torchmetrics import MetricCollection

from attncompare.errors import Refused
from attncompare.tasks.metrics import (
    AlignmentError,
    BitsPerByte,
    Bleu,
    CharacterErrorRate,
    ChrF,
    ExactMatch,
    Loss,
    Perplexity,
    Rouge1,
    Rouge2,
    RougeL,
    Ter,
    TokenAccuracy,
    WordErrorRate,
    metrics_of,
)

ALL = (Loss, Perplexity, BitsPerByte, TokenAccuracy, ExactMatch, Bleu, ChrF, Ter, Rouge1, Rouge2, RougeL)
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


# In a process of its own: a part of it, absl, hangs a handler on all logging, which Hydra closes, and standard error with it.
ROUGE_SCORE = """
import json, sys
from rouge_score.rouge_scorer import RougeScorer
stemmer, names, pairs = json.load(sys.stdin)
scorer = RougeScorer(names, use_stemmer=stemmer)
scores = [scorer.score_multi(references, hypothesis) for hypothesis, references in pairs]
print(json.dumps({name: [100 * one[name].fmeasure for one in scores] for name in names}))
"""


@pytest.mark.parametrize("stemmer", [False, True])
def test_rouge_is_that_of_rouge_score(stemmer):
    words = ["the", "returns", "returned", "file_name", "März", "1.5", "日本", ".", "running"]
    drawn = [[" ".join(RANDOM.choice(words, RANDOM.integers(0, 9))) for _ in range(4)] for _ in range(40)]
    hypotheses, several = [one for one, *_ in drawn], [others for _, *others in drawn]
    metrics = {one.name: one(stemmer) for one in (Rouge1, Rouge2, RougeL)}
    asked = json.dumps([stemmer, [*metrics], list(zip(hypotheses, several, strict=True))])
    command = [sys.executable, "-c", ROUGE_SCORE]
    expected = json.loads(subprocess.run(command, input=asked, capture_output=True, text=True, check=True).stdout)
    for name, metric in metrics.items():
        for part in (slice(0, 7), slice(7, 40)):
            metric.update(hypotheses[part], [], list(range(40))[part], all_references=several[part])
        assert [score for score, _ in metric.item_sums().values()] == pytest.approx(expected[name], abs=1e-5)
        assert metric.compute().item() == pytest.approx(sum(expected[name]) / 40, abs=1e-5)
        of_one = type(metric)(stemmer)
        of_one.update(hypotheses, [others[0] for others in several], list(range(40)))
        assert 0 < of_one.compute() < metric.compute()
        assert f"stem:{'yes' if stemmer else 'no'}|" in metric.signature()


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


def test_error_rates_are_edits_over_the_length_of_all_references():
    hypotheses, references = ["abd", "one three", ""], ["abc", "one two three", "xy"]
    for metric, edits, sizes in (
        (CharacterErrorRate(), [1, 4, 2], [3, 13, 2]),
        (WordErrorRate(), [1, 1, 1], [1, 3, 1]),
    ):
        metric.update(hypotheses[:2], references[:2], [4, 0])
        metric.update(hypotheses[2:], references[2:], [7])
        assert metric.compute().item() == pytest.approx(sum(edits) / sum(sizes))
        assert metric.item_sums() == {
            item: [edit, size] for item, edit, size in zip([4, 0, 7], edits, sizes, strict=True)
        }


def test_the_alignment_error_is_that_of_och_and_ney_in_the_best_head_with_possible_links_alone():
    from attncompare.maps import alignment_error_rate

    weights_HTS, gold_TS = RANDOM.random((3, 40, 9)), RANDOM.random((40, 9)) < 0.4
    known = gold_TS.any(1)
    aligned = torch.tensor(np.stack([gold_TS[np.arange(40), one.argmax(1)][known] for one in weights_HTS], 1))
    items = torch.arange(40)[torch.tensor(known)] // 7
    metric = AlignmentError()
    for part in (slice(0, 11), slice(11, None)):
        metric.update(aligned[part], items[part])
    expected = min(alignment_error_rate(one, np.zeros_like(gold_TS), gold_TS) for one in weights_HTS)
    assert metric.compute().item() == pytest.approx(expected)
    rows = np.array(list(metric.item_sums().values()))
    assert len(rows) == len(set(items.tolist())) and metric.value(rows.sum(0)) == pytest.approx(expected)


def test_an_alignment_error_is_measured_where_gold_alignments_are_known(make_config):
    assert "alignment_error" in metrics_of(make_config("task=transcription"))
    assert "alignment_error" not in metrics_of(make_config("task=transcription", "data=speech", "data.path=x"))
    with pytest.raises(Refused, match=r"trainer.monitor=alignment_error.*data=speech"):
        make_config("task=transcription", "data=speech", "data.path=x", "trainer.monitor=alignment_error")
