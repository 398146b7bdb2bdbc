"""``--json`` and the options of ``attncompare compare``, by the command itself."""

import json
import math
from pathlib import Path

import pytest

from attncompare.compare.as_data import as_data
from attncompare.compare.groups import compare_groups


@pytest.fixture
def sweep(make_run, tmp_path):
    for name, bleu in (("dot", 20.0), ("scaled", 30.0)):
        for seed in range(1, 7):
            facts = {"test": {"bleu": bleu + seed, "loss": math.nan if (name, seed) == ("dot", 3) else 1.0}}
            make_run(f"sweep/{name}{seed}", f"attention={name}", f"seed={seed}", **facts)
    make_run("sweep/lost", "attention=causal", state="failed", message="the loss is nan")
    return tmp_path / "runs" / "sweep"


def test_the_whole_comparison_as_data(cli, sweep):
    code, _, err = cli("compare", sweep, "--json", "all.json", "--html", "page.html")
    assert code == 0, err
    text = Path("all.json").read_text(encoding="utf-8")
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    (comparison,) = data["comparisons"]
    assert [variant["label"] for variant in comparison["variants"]] == ["dot", "scaled"]
    first = comparison["variants"][0]
    assert [run["seed"] for run in first["runs"]] == [1, 2, 3, 4, 5, 6] and first["runs"][0]["figures"]["bleu"] == 21.0
    assert math.isnan(float(first["runs"][2]["figures"]["loss"]))  # a text, as JSON has no such number
    assert first["estimates"]["bleu"]["mean"] == 23.5 and first["estimates"]["bleu"]["interval"]["level"] == 0.95
    verdict = comparison["verdicts"][0]
    assert (verdict["first"], verdict["second"], verdict["metric"]) == ("dot", "scaled", "bleu")
    assert verdict["decided"] and verdict["better"] == "scaled" and verdict["difference"]["mean"] == -10.0
    assert verdict["difference"]["p"] == 0.03125 and verdict["sentence"].startswith("scaled is better than dot")
    (lost,) = comparison["left_out"]
    assert lost["state"] == "failed" and lost["reason"] == "the loss is nan"


def test_the_same_runs_give_the_same_data(sweep, make_run):
    runs = [make_run(f"again{seed}", f"seed={seed}") for seed in (1, 2)]
    assert as_data(compare_groups(runs)) == as_data(compare_groups(runs))


def test_data_that_cannot_be_written_are_refused(cli, sweep):
    code, _, err = cli("compare", sweep, "--json", "nowhere/all.json")
    assert code == 2 and err.startswith("error: --json nowhere/all.json: cannot write there")
    code, _, err = cli("compare", sweep, "--json", ".")
    assert code == 2 and err.startswith("error: --json .: ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--equal", "money"), "--equal"),
        (("--metric", "bleuu"), "did you mean bleu?"),
        (("--tune", "optimizer.lr"), "--tune optimizer.lr: every run has"),
        (("--equal", "time"), "--equal time: "),
        (("--equal", "time", "--tune", "optimizer.lr"), "--tune with --equal time: values picked on val"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(cli, sweep, options, words):
    code, _, err = cli("compare", sweep, *options)
    assert code == 2 and words in err and err.count("\n") == 1
