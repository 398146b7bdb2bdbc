"""What a run says of its translations: sacrebleu's own scores, each with the signature that it was computed by."""

import pytest
from commands import SMOKE
from sacrebleu.metrics import BLEU, CHRF, TER

from attncompare.compare.statistics import read_items
from attncompare.config import parse
from attncompare.errors import Refused
from attncompare.text import METRICS
from attncompare.training.run import train

QUIET = (*SMOKE, "tracking=disabled", "tracking.probes=0")


def test_the_scores_are_those_of_its_predictions_and_the_signatures_say_how(make_config):
    run = train(make_config(*QUIET, "task.bleu_tokenize=char", "task.bleu_lowercase=true", "trainer.max_steps=30"))
    rows, test, signatures = run.predictions(), run.summary["test"], run.summary["signatures"]
    hypotheses, references = ([row[key] for row in rows] for key in ("prediction", "reference"))
    scores = {"bleu": BLEU(tokenize="char", lowercase=True), "chrf": CHRF(), "ter": TER()}
    for name, score in scores.items():
        assert test[name] == score.corpus_score(hypotheses, [references]).score > 0
        assert signatures[name] == str(score.get_signature())
        assert f"val/{name}" in run.metrics()[-1]
    assert "case:lc" in signatures["bleu"] and "tok:char" in signatures["bleu"]
    assert read_items("ter", rows, "sentence").score == pytest.approx(test["ter"])
    assert read_items("bleu", rows, "sentence", tokenize="char", lowercase=True).score == pytest.approx(test["bleu"])


def test_text_that_is_cut_already_is_scored_as_it_is(make_config):
    run = train(make_config(*QUIET, "task.bleu_tokenize=none", "task.bleu_lowercase=true"))
    assert "case:lc|eff:no|tok:none" in run.summary["signatures"]["bleu"]
    assert "tokenized period" not in (run.path / "run.log").read_text()


def test_fewer_edits_are_better():
    assert not METRICS["ter"].higher_is_better


def test_an_unknown_way_to_cut_text_is_refused(make_config):
    with pytest.raises(Refused, match=r"task.bleu_tokenize=13b: must be .*did you mean 13a"):
        make_config(*QUIET, "task.bleu_tokenize=13b")


@pytest.mark.parametrize("task", ["translation", "language_model"])
def test_a_record_from_before_reads_as_what_it_was(make_config, task):
    config = make_config(f"task={task}")
    values = config.to_dict()
    for key in ("bleu_tokenize", "bleu_lowercase", "eval_stride"):
        values["task"].pop(key, None)
    for section, keys in (
        ("trainer", ("accumulate", "max_time", "patience", "average_last")),
        ("optimizer", ("eps", "decay_embeddings")),
        ("backbone", ("scale_embedding", "bias", "init")),
    ):
        for key in keys:
            del values[section][key]
    assert parse(values) == config
