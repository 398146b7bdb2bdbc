"""Runs whose text was cut into tokens differently: what may be compared between them, and what may not."""

import pytest

from attncompare.compare.groups import compare_groups
from attncompare.compare.options import Options
from attncompare.compare.table import result_table
from attncompare.compare.verdicts import verdicts
from attncompare.errors import Refused

LANGUAGE_MODEL = "task=language_model"
BITS = Options(metric="bits_per_byte")
CUTS = {"character": "data.tokenizer.kind=character", "word": "data.tokenizer.kind=word"}


@pytest.fixture
def cut(make_run):
    def write(name, kind, *overrides, seeds=(1,), **facts):
        facts = {"data": {"test": {"bytes": 5000, "unknown_rate": 0.0}}, **facts}
        runs = [
            make_run(f"{name}-{kind}-{seed}", f"attention={name}", CUTS[kind], f"seed={seed}", *overrides, **facts)
            for seed in seeds
        ]
        return runs

    return write


def refusal(runs, options=None):
    with pytest.raises(Refused) as error:
        compare_groups(runs, options=options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_losses_between_tokenizers_are_refused_and_bits_per_byte_offered(cut):
    runs = [*cut("dot", "character", LANGUAGE_MODEL), *cut("scaled", "word", LANGUAGE_MODEL)]
    message = refusal(runs)
    assert "data.tokenizer.kind is character" in message
    assert "with different tokenizers their losses are not comparable" in message
    assert message.endswith("the text is the same, so compare them in bits per byte: --metric bits_per_byte")


def test_in_bits_per_byte_they_are_compared_and_named_by_their_tokenizer(cut):
    runs = [*cut("dot", "character", LANGUAGE_MODEL), *cut("scaled", "word", LANGUAGE_MODEL)]
    (comparison,) = compare_groups(runs, options=BITS)
    table = result_table(comparison)
    assert [row.variant.label for row in table.rows] == ["dot kind=character", "scaled kind=word"]
    keys = [column.key for column in table.columns]
    assert keys == ["bits_per_byte", "parameters", "peak_memory_bytes"]  # nothing that counts tokens
    assert [verdict.metric.key for verdict in verdicts(comparison)] == ["bits_per_byte"]
    (comparison,) = compare_groups([*cut("causal", "word", LANGUAGE_MODEL), runs[1]], options=BITS)
    assert "tokens_per_second" in [column.key for column in result_table(comparison).columns]  # the same tokens


def test_translations_are_offered_what_is_measured_on_text(cut):
    runs = [*cut("dot", "character"), *cut("scaled", "word")]
    assert refusal(runs).endswith("--metric bleu or chrf or ter or exact_match")
    assert len(compare_groups(runs, options=Options(metric="chrf"))[0].variants) == 2
    assert "data.tokenizer.kind" in refusal(runs, Options(metric="loss"))


def test_another_text_is_refused_in_bits_per_byte_too(cut):
    runs = [*cut("dot", "word", LANGUAGE_MODEL), *cut("scaled", "word", LANGUAGE_MODEL, fingerprint="0" * 64)]
    for options in (None, BITS):
        message = refusal(runs, options)
        assert "with different data their losses are not comparable" in message and "--metric" not in message


def test_texts_that_were_cut_at_different_places_are_refused(cut):
    less = {"test": {"bytes": 4000, "unknown_rate": 0.0}}
    runs = [*cut("dot", "word", LANGUAGE_MODEL), *cut("scaled", "character", LANGUAGE_MODEL, data=less)]
    message = refusal(runs, BITS)
    assert "5000 bytes" in message and "4000 bytes" in message and "task.max_length" in message


def test_tokens_that_a_tokenizer_does_not_know_are_said(cut):
    lossy = {"test": {"bytes": 5000, "unknown_rate": 0.031}}
    runs = [*cut("dot", "word", LANGUAGE_MODEL, data=lossy), *cut("scaled", "character", LANGUAGE_MODEL)]
    (comparison,) = compare_groups(runs, options=BITS)
    assert any("up to 3.10% of the test tokens are unknown" in note for note in comparison.notes)


def test_one_metric_alone_is_shown_and_tested(make_run):
    runs = [make_run("a"), make_run("b", "attention=dot")]
    (comparison,) = compare_groups(runs, options=Options(metric="token_accuracy"))
    assert [verdict.metric.key for verdict in verdicts(comparison)] == ["token_accuracy"]
    assert result_table(comparison).columns[0].key == "token_accuracy"


def test_a_metric_that_a_task_lacks_is_refused(make_run):
    message = refusal([make_run("a", LANGUAGE_MODEL)], Options(metric="bleu"))
    assert message.startswith("--metric: unknown metric of task=language_model 'bleu'") and "bits_per_byte" in message
