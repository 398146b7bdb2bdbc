"""Runs that were not made alike: other data, other code, other tasks, damaged figures."""

import json
import os

import pytest

from attncompare.compare.budgets import at_budget
from attncompare.compare.curves import curve_figures
from attncompare.compare.gathering import gather
from attncompare.compare.groups import compare_groups
from attncompare.compare.options import Options
from attncompare.compare.page_answer import cost_sentences
from attncompare.compare.page_lengths import length_data
from attncompare.compare.page_pareto import pareto_data
from attncompare.compare.report import report_page
from attncompare.compare.table import result_table
from attncompare.compare.terminal import as_text
from attncompare.errors import Refused
from attncompare.record import Run
from attncompare.record import seal

OTHER = "0" * 64
LANGUAGE_MODEL = "task=language_model"


def compared(runs, options=None, **more):
    (comparison,) = compare_groups(runs, options=options, **more)
    return comparison


def sealed_again(run, change):
    """Change ``summary.json`` or another file of a finished run, and seal it as if it had been written so."""
    change(run.path)
    seal(run.path)
    return Run.open(run.path)


def with_summary(run, **parts):
    def change(path):
        file = path / "summary.json"
        summary = json.loads(file.read_text())
        for part, values in parts.items():
            summary[part] = {**summary[part], **values} if isinstance(values, dict) else values
        file.write_text(json.dumps(summary))

    return sealed_again(run, change)


def with_environment(run, **facts):
    return sealed_again(run, lambda path: (path / "environment.json").write_text(json.dumps(facts)))


def test_runs_on_other_data_are_variants_of_their_own_when_forced(make_run):
    runs = [
        make_run(f"{name}{seed}{data[0]}", f"attention={name}", f"seed={seed}", fingerprint=data)
        for name in ("dot", "scaled")
        for seed in (1, 2)
        for data in ("f" * 64, OTHER)
    ]
    comparison = compared(runs, force=True)
    labels = ["dot data=ffffffff", "dot data=00000000", "scaled data=ffffffff", "scaled data=00000000"]
    assert [variant.label for variant in comparison.variants] == labels
    assert [variant.same_as for variant in comparison.variants] == [None] * 4
    assert sum(len(variant.runs) for variant in comparison.variants) == 8
    assert not any("counted once" in note for note in comparison.notes)


def test_a_lost_run_on_other_data_is_told_although_the_config_finished(make_run, tmp_path):
    make_run("sweep/a")
    make_run("sweep/b", state="failed", fingerprint=OTHER)
    assert [one.path.name for one in gather([tmp_path / "runs" / "sweep"]).left_out] == ["b"]


def test_other_data_is_tuned_apart(make_run):
    runs = [
        make_run(f"{lr}{data[0]}", f"optimizer.lr={lr}", fingerprint=data)
        for lr in (0.1, 0.2)
        for data in ("f" * 64, OTHER)
    ]
    comparison = compared(runs, Options(tune=("optimizer.lr",)), force=True)
    assert [variant.label for variant in comparison.variants] == ["scaled data=ffffffff", "scaled data=00000000"]


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
    runs = [with_environment(make_run(str(seed), f"seed={seed}"), **known) for seed in (1, 2)]
    assert not any("same code" in note for note in compared(runs).notes)
    runs.append(with_environment(make_run("b", "attention=dot"), **{**known, **changed}))
    (note,) = [note for note in compared(runs).notes if "same code" in note]
    assert note.startswith("not all trained by the same code: ") and words in note and str(runs[-1].path) in note
    assert note.count(" or ") == 1


def test_of_two_runs_with_one_config_the_newest_counts(make_run):
    runs = [make_run("a", test={"bleu": 10.0}), make_run("b", test={"bleu": 20.0})]
    for old, new in (runs, runs[::-1]):
        os.utime(old.path / "summary.json", (1000, 1000))
        os.utime(new.path / "summary.json", (2000, 2000))
        comparison = compared(runs)
        assert [run.path for run in comparison.variants[0].runs] == [new.path]
        note = f"{old.path} has the config and seed of {new.path}, which is newer, and is counted once"
        assert note in comparison.notes


def test_a_task_without_the_metric_is_skipped_and_said(make_run):
    runs = [make_run("a"), make_run("b", "attention=dot"), make_run("c", LANGUAGE_MODEL)]
    comparison = compared(runs, Options(metric="bleu"))
    assert comparison.task == "translation"
    assert "language model runs are left out: they have no BLEU" in comparison.notes
    comparison = compared([*runs, make_run("d", LANGUAGE_MODEL, "attention=dot")], Options(metric="bits_per_byte"))
    assert comparison.task == "language_model"
    with pytest.raises(Refused, match="unknown metric of task=language_model 'bleu'"):
        compared(runs[2:], Options(metric="bleu"))
    with pytest.raises(Refused, match="did you mean bleu"):
        compared(runs, Options(metric="bleuu"))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"test": {"bleu": "high"}}, "test.bleu is high, not a number"),
        ({"test": {"loss": [1.0]}}, "test.loss is"),
        ({"test": {"loss": True}}, "test.loss is true"),
        ({"cost": {"parameters": "many"}}, "cost.parameters is many"),
        ({"wall_seconds": "long"}, "wall_seconds is long"),
        ({"data": {"test": {"bytes": "all", "unknown_rate": 0.0}}}, "data.test.bytes is all"),
        ({"data": {"test": {"unknown_rate": None, "bytes": {}}}}, "data.test.bytes is"),
        ({"data": {"test": 7}}, "data does not say"),
        ({"data": {"fingerprint": 7}}, "data does not say"),
        ({"test": 7}, "test is no table of figures"),
        ({"cost": []}, "cost is no table of figures"),
        ({"signatures": "x"}, "signatures is x"),
    ],
)
def test_figures_that_are_no_numbers_are_named_and_left_out(make_run, tmp_path, parts, words):
    make_run("sweep/a")
    bad = with_summary(make_run("sweep/b", "attention=dot"), **parts)
    (lost,) = gather([tmp_path / "runs" / "sweep"]).left_out
    assert lost.state == "damaged" and words in lost.reason and "summary.json" in lost.reason
    with pytest.raises(Refused, match="damaged"):
        gather([bad.path])


def spent(step):
    return {"train/tokens": step * 10, "train/seconds": step * 1.0}


@pytest.fixture
def timed(make_run):
    rows = [(step, {"val/loss": 1.0, "val/bleu": 7.0, **spent(step)}) for step in (100, 200)]
    items = [f"{number}. Tag" for number in range(60)]
    return [
        make_run(name, f"attention={name}", validations=rows, answers=items, cost={"train_seconds": 12.0})
        for name in ("dot", "scaled")
    ]


def test_at_an_equal_budget_nothing_from_the_end_passes_for_it(timed):
    comparison = compared(timed, Options(equal="time"))
    assert length_data(comparison) is None
    page = report_page([comparison])
    assert page.count("From the whole runs, not after 200 s of training as the table above.") == 2
    assert "test items were read at the end of each run" in page
    assert "train_seconds" not in [column.key for column in result_table(comparison).columns]
    assert "From the whole runs" not in report_page([compared(timed)])


def test_records_without_flops_say_so_by_their_name(timed, make_run):
    rows = [(100, {"val/loss": 1.0, **spent(100)})]
    lacking = make_run("x", "attention=causal", validations=rows, cost={"train_flops_per_token": None})
    with pytest.raises(Refused, match=r"cost\.train_flops_per_token") as error:
        at_budget([*timed, lacking], "flops")
    assert str(lacking.path) in str(error.value) and "train/tokens" not in str(error.value)


def test_training_time_stands_beside_quality(make_run):
    runs = [
        make_run(name, f"attention={name}", test={"bleu": bleu}, cost={"train_seconds": seconds})
        for name, bleu, seconds in (("dot", 20.0, 100.0), ("scaled", 30.0, 250.0))
    ]
    comparison = compared(runs)
    table = result_table(comparison)
    assert "Training time: 100 s (dot) to 250 s (scaled), 150 % apart" in cost_sentences(table)
    assert pareto_data(comparison, table)["costs"][0]["key"] == "train_seconds"
    assert "train" in as_text([comparison], 100) and "train" not in as_text([comparison], 80).split("Test set")[0]


def test_pictures_of_other_tokenizers_hold_nothing_per_token(make_run):
    def losses(size):
        return [{"id": n, "nats": 10.0, "tokens": size, "bytes": 10 if n < 50 else 20} for n in range(100)]

    runs = [
        make_run(kind, LANGUAGE_MODEL, f"data.tokenizer.kind={kind}", losses=losses(size))
        for kind, size in (("character", 10), ("word", 2))
    ]
    comparison = compared(runs, Options(metric="bits_per_byte"))
    assert [figure["title"] for figure in curve_figures(comparison)] == ["validation bits per byte"]
    assert [picture["key"] for picture in length_data(comparison)["pictures"]] == ["bits_per_byte"]
    one = compared(runs[:1])
    assert "training loss" not in [figure["title"] for figure in curve_figures(comparison)]
    assert [picture["key"] for picture in length_data(one)["pictures"]] == ["loss", "bits_per_byte"]
