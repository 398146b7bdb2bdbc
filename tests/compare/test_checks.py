"""Which runs may stand beside each other, and what is said of those that differ."""

import json

import pytest

from attncompare.compare import Options, as_text, compare_groups, differences, gather, verdicts
from attncompare.compare.page.charts import curve_figures, drawn_variants
from attncompare.compare.table import result_table
from attncompare.errors import Refused
from attncompare.record import Run, seal

LANGUAGE_MODEL = "task=language_model"
BITS = Options(metric="bits_per_byte")
OTHER = "0" * 64


def compared(runs, options=None, **more):
    (comparison,) = compare_groups(runs, options=options, **more)
    return comparison


def refusal(runs, options=None, **more):
    with pytest.raises(Refused) as error:
        compare_groups(runs, options=options, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_runs_that_differ_in_variant_and_seed_may_be_compared(make_run):
    runs = [
        make_run("a", "attention=additive", "seed=1"),
        make_run("b", "attention=multihead", "attention.heads=3", "attention.dropout=0.1", "seed=2"),
        make_run("c", "attention=dot", "name=named", "tags=[x]", "notes=note", "tracking=disabled", "runs=elsewhere"),
    ]
    assert differences(runs) == {}
    assert len(compare_groups(runs)) == 1


def test_other_differences_are_refused_by_key_and_value_unless_forced(make_run):
    runs = [make_run("a"), make_run("b", "attention=dot", "trainer.max_steps=7", "data.batch_size=3", "seed=2")]
    message = refusal(runs)
    assert "trainer.max_steps is" in message and "or 7" in message and "data.batch_size is" in message
    assert str(runs[0].path) in message and "--force" in message and "attention.score" not in message
    assert sum("not on equal footing" in note for note in compared(runs, force=True).notes) == 2


def test_runs_that_monitor_different_metrics_are_refused_and_when_forced_both_are_named(make_run):
    runs = [make_run("a"), make_run("b", "attention=dot", "trainer.monitor=bleu")]
    message = refusal(runs)
    assert f"trainer.monitor is loss ({runs[0].path}) or bleu ({runs[1].path})" in message
    assert "best weights by val loss or BLEU," in as_text(compare_groups(runs, force=True), 200)
    assert "best weights by val BLEU," in as_text(compare_groups(runs[1:]), 200)


def test_other_data_is_refused_and_when_forced_a_variant_of_its_own(make_run):
    runs = [
        make_run(f"{name}{seed}{data[0]}", f"attention={name}", f"seed={seed}", fingerprint=data)
        for name in ("dot", "scaled")
        for seed in (1, 2)
        for data in ("f" * 64, OTHER)
    ]
    assert "the data's fingerprint is ffffffff" in refusal(runs)
    comparison = compared(runs, force=True)
    labels = ["dot data=ffffffff", "dot data=00000000", "scaled data=ffffffff", "scaled data=00000000"]
    assert [variant.label for variant in comparison.variants] == labels
    assert not any("counted once" in note for note in comparison.notes)


@pytest.mark.parametrize("state", ["running", "failed", "interrupted"])
def test_a_run_that_has_not_finished_is_refused_with_its_state(make_run, state):
    runs = [make_run("a"), make_run("b", "attention=dot", state=state, message="the loss is nan")]
    message = refusal(runs, force=True)
    assert str(runs[1].path) in message and state in message and "the loss is nan" in message
    assert "2 of 3 runs" in refusal([*runs, make_run("c", "attention=additive", state=state)])


def test_tasks_are_compared_apart(make_run):
    runs = [make_run("a"), make_run("b", LANGUAGE_MODEL), make_run("c", LANGUAGE_MODEL, "attention=dot")]
    comparisons = compare_groups(runs)
    found = [(c.task, c.title, len(c.variants)) for c in comparisons]
    assert found == [("translation", "Translation", 1), ("language_model", "Language model", 2)]


def test_losses_between_tokenizers_are_refused_and_metrics_of_text_offered(make_run):
    def cut(*overrides):
        kinds = ("character", "word")
        return [make_run(f"{kind}{len(overrides)}", *overrides, f"data.tokenizer.kind={kind}") for kind in kinds]

    message = refusal(cut(LANGUAGE_MODEL))
    assert "data.tokenizer.kind is character" in message and "losses are not comparable" in message
    assert message.endswith("--metric bits_per_byte")
    translations = cut()
    assert refusal(translations).endswith("--metric bleu or chrf or exact_match or ter")
    assert len(compared(translations, Options(metric="chrf")).variants) == 2
    assert "data.tokenizer.kind" in refusal(translations, Options(metric="loss"))


@pytest.fixture
def cut_apart(make_run):
    """Two language models on the same text, one in characters, one in words."""

    def write(**facts):
        known = {"bytes": 5000, "unknown_rate": 0.0}
        return [
            make_run(
                f"{name}-{kind}",
                *(LANGUAGE_MODEL, f"attention={name}", f"data.tokenizer.kind={kind}"),
                data={"test": {**known, **(facts if kind == "word" else {})}},
            )
            for name, kind in (("dot", "character"), ("scaled", "word"))
        ]

    return write


def test_between_tokenizers_nothing_per_token_is_shown_tested_or_drawn(cut_apart):
    comparison = compared(cut_apart(), BITS)
    table = result_table(comparison)
    assert [row.variant.label for row in table.rows] == ["dot kind=character", "scaled kind=word"]
    assert list(table.columns) == ["bits_per_byte", "parameters", "peak_memory_bytes"]
    assert [verdict.metric.name for verdict in verdicts(comparison)] == ["bits_per_byte"]
    curves = curve_figures(drawn_variants(comparison), comparison.drawn)
    assert [figure["title"] for figure in curves] == ["validation bits per byte"]


def test_bits_per_byte_of_another_amount_of_text_are_refused(cut_apart):
    message = refusal(cut_apart(bytes=4000), BITS)
    assert "5000 bytes" in message and "4000 bytes" in message and "task.max_length" in message


def test_a_task_without_the_metric_is_left_out_and_said_or_refused(make_run):
    runs = [make_run("a"), make_run("b", "attention=dot"), make_run("c", LANGUAGE_MODEL)]
    comparison = compared(runs, Options(metric="bleu"))
    assert comparison.task == "translation"
    assert "language model runs are left out: they have no BLEU" in comparison.notes
    assert "unknown metric of task=language_model 'bleu'" in refusal(runs[2:], Options(metric="bleu"))
    assert "did you mean bleu" in refusal(runs, Options(metric="bleuu"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"git": {"commit": "b" * 40, "diff": ""}}, "commit aaaaaaaaaaaa"),
        ({"git": {"commit": "a" * 40, "diff": "+x"}}, "uncommitted changes none"),
        ({"packages": {"torch": "3.0"}}, "torch 2.13.0"),
        ({"git": None}, "commit aaaaaaaaaaaa"),
    ],
)
def test_mixed_code_is_said_once(make_run, changed, words):
    known = {"git": {"commit": "a" * 40, "diff": ""}, "packages": {"torch": "2.13.0", "numpy": "1"}}
    runs = [make_run(str(seed), f"seed={seed}", environment=known) for seed in (1, 2)]
    assert not any("same code" in note for note in compared(runs).notes)
    runs.append(make_run("b", "attention=dot", environment={**known, **changed}))
    (note,) = [note for note in compared(runs).notes if "same code" in note]
    assert words in note and str(runs[-1].path) in note and note.count(" or ") == 1


def test_a_metric_that_was_computed_in_several_ways_is_said(make_run):
    runs = [make_run(str(seed), f"seed={seed}") for seed in (1, 2)]
    assert not any("one way" in note for note in compared(runs).notes)
    runs.append(make_run("b", "attention=dot"))
    runs[-1].summary["signatures"] = {**runs[-1].summary["signatures"], "bleu": "nrefs:var"}
    (note,) = [note for note in compared(runs).notes if "one way" in note]
    assert "BLEU" in note and "nrefs:var" in note and str(runs[-1].path) in note


def test_a_prefix_that_leaves_tokens_out_of_the_loss_is_said(make_run):
    task = "task=language_model"
    runs = [make_run(variant, task, f"attention={variant}") for variant in ("scaled", "prefix")]
    assert not any("carry no loss" in note for note in compared(runs[:1]).notes)
    (note,) = [note for note in compared(runs).notes if "carry no loss" in note]
    assert str(runs[-1].path) in note


def test_where_records_name_their_sources_these_count_and_not_the_commit(make_run):
    def note(*made):
        runs = []
        for seed, facts in enumerate(made):
            run = make_run(f"{len(list(seen))}-{seed}", f"seed={seed}", environment={"git": {"commit": f"{seed}" * 40}})
            run.summary["made_with"] = facts
            runs.append(run)
        seen.append(runs)
        return [note for note in compared(runs).notes if "same code" in note]

    seen = []
    same = {"code": "a" * 64, "numpy": "1", "data x": "b"}
    assert note(same, same | {"data x": "c"}) == []
    assert "numpy 1" in note(same, same | {"numpy": "2"})[0] and "code aaa" in note(same, same | {"code": "b" * 64})[0]
    assert "commit 000000000000" in note(same, None)[0]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"data": {"test": {"bytes": "all"}}}, "data.test.bytes"),
        ({"signatures": "x"}, "signatures"),
    ],
)
def test_facts_of_another_form_are_named_and_the_run_left_out(make_run, tmp_path, parts, words):
    make_run("sweep/a")
    bad = make_run("sweep/b", "attention=dot")
    file = bad.path / "summary.json"
    summary = json.loads(file.read_text())
    for part, values in parts.items():
        summary[part] = {**summary[part], **values} if isinstance(values, dict) else values
    file.write_text(json.dumps(summary))
    seal(bad.path)
    gathered = gather([tmp_path / "runs" / "sweep"])
    (lost,) = gathered.left_out
    assert lost.state == "damaged" and words in lost.reason and "summary.json" in lost.reason
    assert "1 run was left out" in as_text(compare_groups(gathered.runs, left_out=gathered.left_out))
    with pytest.raises(Refused, match="damaged"):
        gather([Run.open(bad.path).path])


def test_tokens_that_a_tokenizer_does_not_know_are_said(cut_apart):
    assert any("up to 3.10% of the test tokens" in note for note in compared(cut_apart(unknown_rate=0.031), BITS).notes)
