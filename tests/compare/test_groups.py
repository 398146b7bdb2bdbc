import os

from attncompare.compare import compare_groups
from attncompare.compare.one_seed import ONE_SEED, one_seed_notes
from attncompare.compare.table import result_table


def variants(runs, **options):
    (comparison,) = compare_groups(runs, **options)
    return comparison.variants


def test_identical_models_are_marked_and_the_plain_one_stands_for_them(make_run):
    runs = [
        make_run("a", "task=language_model", "attention=causal"),
        make_run("b", "task=language_model", "attention=scaled"),
        make_run("c", "task=language_model", "attention=multihead", "attention.heads=1"),
        make_run("d", "task=language_model", "attention=dot"),
    ]
    found = variants(runs)
    assert [v.title for v in found] == ["causal = scaled", "scaled", "scaled name=multihead = scaled", "dot"]
    assert [v.same_as for v in found] == ["scaled", None, "scaled", None]
    assert len({v.color for v in found}) == 4


def test_of_two_runs_with_one_config_the_newest_counts(make_run):
    runs = [make_run("a", test={"bleu": 10.0}), make_run("b", test={"bleu": 20.0})]
    for old, new in (runs, runs[::-1]):
        os.utime(old.path / "summary.json", (1000, 1000))
        os.utime(new.path / "summary.json", (2000, 2000))
        (comparison,) = compare_groups(runs)
        assert [run.path for run in comparison.variants[0].runs] == [new.path]
        (note,) = [note for note in comparison.notes if "counted once" in note]
        assert note.startswith(f"{old.path} has the config and seed of {new.path}")


def test_variants_of_one_name_are_told_apart_by_what_differs(make_run):
    runs = [make_run(f"h{heads}", "attention=multihead", f"attention.heads={heads}") for heads in (2, 4)]
    assert [v.label for v in variants(runs)] == ["multihead heads=2", "multihead"]
    runs = [make_run(f"lr{lr}", f"optimizer.lr={lr}") for lr in (0.1, 0.2)]
    assert [v.label for v in variants(runs)] == ["scaled lr=0.1", "scaled lr=0.2"]
    runs += [make_run("both", "attention=dot", "optimizer.lr=0.2", "backbone.dropout=0.3")]
    assert variants(runs)[-1].label == "dot backbone.dropout=0.3 lr=0.2"  # attention has a dropout, too


def test_settings_that_all_attentions_share_are_told_once(make_run):
    runs = [make_run(name, f"attention={name}", "attention.positions=alibi") for name in ("additive", "dot")]
    (comparison,) = compare_groups(runs)
    assert [variant.label for variant in comparison.variants] == ["additive", "dot"]
    assert result_table(comparison).axes.endswith("; attention of all: positions=alibi")
    other = variants([*runs, make_run("other", "attention=scaled")])
    assert [variant.label for variant in other] == ["additive positions=alibi", "dot positions=alibi", "scaled"]


def test_settings_that_are_equal_numbers_but_written_differently_are_told_apart(make_run):
    runs = [make_run(f"d{dropout}", f"attention.dropout={dropout}") for dropout in (0.0, -0.0)]
    assert [v.label for v in variants(runs)] == ["scaled", "scaled dropout=-0"]


def test_unequal_seeds_and_single_seeds_are_said(make_run):
    (comparison,) = compare_groups([make_run("a"), make_run("b", "attention=dot", "seed=2")])
    assert "the variants were trained from different seeds" in comparison.notes
    assert ONE_SEED in one_seed_notes(comparison) and "seed=1,2,3,4,5,6,7,8" in ONE_SEED


def test_causal_is_a_model_of_its_own_where_there_is_an_encoder(make_run):
    found = variants([make_run("a", "attention=causal"), make_run("b", "attention=scaled")])
    assert [v.same_as for v in found] == [None, None]
