"""What a run says of its test set: sacrebleu's own figures with their signatures, and sums of items that add up to them."""

import numpy as np
import pytest
from commands import SMOKE
from sacrebleu.metrics import BLEU, CHRF, TER
from training_runs import LANGUAGE_MODEL, NO_TRACKING

from attncompare.data.module import DataModule
from attncompare.tasks import build_task
from attncompare.tasks.metrics import metrics_of
from attncompare.training import evaluate
from attncompare.training.run import train


def assert_items_add_up(run):
    """The sums of all test items give each metric of the test set."""
    rows = run.items()
    for name, metric in metrics_of(run.config).items():
        sums = np.array([row[name] for row in rows if name in row], dtype=float)
        assert len(sums) == len(rows) and sums.shape[1] == len(metric.sums)
        assert run.summary["test"][name] == pytest.approx(float(metric.value(sums.sum(0))), rel=1e-12), name


def test_translations_are_scored_as_sacrebleu_does_and_the_signatures_say_how(make_config):
    run = train(make_config(*SMOKE, *NO_TRACKING, "task.bleu_tokenize=char", "task.bleu_lowercase=true"))
    rows, test, signatures = run.predictions(), run.summary["test"], run.summary["signatures"]
    hypotheses, references = ([row[key] for row in rows] for key in ("prediction", "reference"))
    scores = {"bleu": BLEU(tokenize="char", lowercase=True), "chrf": CHRF(), "ter": TER()}
    for name, score in scores.items():
        assert test[name] == pytest.approx(score.corpus_score(hypotheses, [references]).score, rel=1e-12)
        assert signatures[name] == str(score.get_signature())
        assert f"val/{name}" in run.metrics()[-1]
    assert "case:lc" in signatures["bleu"] and "tok:char" in signatures["bleu"]
    assert_items_add_up(run)


def test_the_items_of_a_language_model_add_up_too(make_config):
    assert_items_add_up(train(make_config(*LANGUAGE_MODEL, "trainer.max_steps=2", "trainer.limit_batches=null")))


@pytest.mark.parametrize("overrides", [SMOKE, LANGUAGE_MODEL])
def test_the_loss_does_not_depend_on_the_size_of_a_batch(make_config, overrides):
    losses = []
    for size in (1, 7, 64):
        config = make_config(*overrides, *NO_TRACKING, f"data.batch_size={size}", "trainer.limit_batches=null")
        data = DataModule(config)
        data.prepare()
        losses.append(evaluate(build_task(config, data.tokenizer), data, "val")["loss"])
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)


@pytest.mark.long
def test_so_do_windows_of_one_long_text(make_config):
    assert_items_add_up(train(make_config("task=language_model", "data=pydocs", "trainer=smoke", *NO_TRACKING)))


def test_val_decodes_counts_sources_with_all_their_targets_and_not_rows(make_config, tmp_path):
    rows = [f"a {source}\tb {source} {target}" for source in range(6) for target in range(4)]
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    own = ("data=pairs", f"data.path={tmp_path}", "data.source=0", "data.target=1")
    small = [override for override in SMOKE if not override.startswith("data")]
    config = make_config(*small, *own, *NO_TRACKING, "task.val_decodes=3", "trainer.limit_batches=null")
    data = DataModule(config)
    data.prepare()
    task = build_task(config, data.tokenizer, data.source_tokenizer)
    scored = []
    task.translate = lambda source_BS, **_: scored.extend(source_BS.tolist()) or [""] * len(source_BS)
    evaluate(task, data, "val")
    assert len(scored) == 3
    assert [data.rows_of_source("val", row)[0] for row in (0, 3, 4, 23)] == [0, 0, 1, 5]
    assert data.rows_of_source("val", 5)[1] == [4, 5, 6, 7]


def test_only_the_first_val_sentences_are_decoded_and_all_of_test(make_config):
    run = train(make_config(*SMOKE, *NO_TRACKING, "task.val_decodes=3", "trainer.limit_batches=null"))
    assert len(run.predictions()) == 40
    assert run.metrics()[-1]["val/exact_match"] in (0, 1 / 3, 2 / 3, 1)
