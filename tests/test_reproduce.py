"""The same run again: identical, equal within tolerance, or different, and what else is not the same."""

import json
import math
import shutil

import pytest

from attncompare.errors import Refused
from attncompare.reproduce import compare_runs, environment_differences, recorded_threads
from attncompare.tracking.record import Run


@pytest.fixture
def copied(finished_run, tmp_path):
    return Run.open(shutil.copytree(finished_run.path, tmp_path / "copied"))


def change_metric(run, row_number, metric, change):
    """Change one number in metrics.csv."""
    file = run.path / "metrics.csv"
    header, *rows = [line.split(",") for line in file.read_text().splitlines()]
    column = header.index(metric)
    rows[row_number][column] = repr(change(float(rows[row_number][column])))
    file.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    return run


def change_json(run, name, change):
    values = json.loads((run.path / name).read_text())
    change(values)
    (run.path / name).write_text(json.dumps(values))
    return Run.open(run.path)


def contents(run):
    files = [file for file in run.path.rglob("*") if file.is_file() and "wandb" not in file.parts]  # W&B's log goes on
    return {file: file.read_bytes() for file in files}


def test_a_run_reproduced_from_its_record_is_identical(cli, finished_run):
    before = contents(finished_run)
    code, out, err = cli("reproduce", finished_run.path)
    assert code == 0
    assert out.startswith("verdict: identical (all metrics and the final weights, bit for bit)\n")
    assert contents(finished_run) == before
    (folder,) = [line.split(" in ")[1] for line in err.splitlines() if line.startswith("recording in ")]
    again = Run.open(folder)
    assert again.path != finished_run.path
    assert (again.path / "overrides.yaml").read_text() == f"- reproduce={finished_run.path}\n"
    assert recorded_threads(again) == recorded_threads(finished_run)


def test_a_run_that_is_not_reproduced_says_where_it_parts_and_exits_with_1(cli, copied):
    change_metric(copied, 0, "train/loss", lambda loss: loss * 1.5)
    change_json(copied, "environment.json", lambda values: values["packages"].update(torch="2.0.0"))
    code, out, err = cli("reproduce", copied.path)
    assert code == 1
    first, second, *environment = out.splitlines()
    assert first == "verdict: different"
    assert second.startswith("first difference: train/loss at step 1: ")
    assert any(line.startswith("environment: packages.torch: 2.0.0 in the record, ") for line in environment)
    assert err.splitlines()[-1] == f"error: {copied.path} was not reproduced"


def test_what_a_clock_measured_does_not_count(finished_run, copied):
    change_metric(copied, 0, "train/tokens_per_second", lambda value: value * 7)
    changed = change_json(copied, "summary.json", lambda values: values["cost"].update(train_seconds=99))
    assert compare_runs(finished_run, changed).verdict == "identical"


def test_tiny_differences_are_within_tolerance_and_the_first_is_named(finished_run, copied):
    changed = change_metric(copied, 1, "train/loss", lambda loss: loss * (1 + 1e-6))
    changed = change_json(changed, "summary.json", lambda values: values.update(weights_sha256="0" * 64))
    outcome = compare_runs(finished_run, changed)
    assert outcome.verdict == "equal within tolerance"
    assert (outcome.first.metric, outcome.first.step) == ("train/loss", 2)
    assert "within 0.1%" in str(outcome)


@pytest.mark.parametrize(
    ("name", "change", "first"),
    [
        ("summary.json", lambda values: values["test"].update(loss=values["test"]["loss"] * 1.01), "test/loss"),
        ("summary.json", lambda values: values["test"].pop("loss"), "test/loss"),
        ("summary.json", lambda values: values["val"].update(loss=math.nan), "val/loss"),
    ],
)
def test_a_final_metric_that_differs_is_different(finished_run, copied, name, change, first):
    outcome = compare_runs(finished_run, change_json(copied, name, change))
    assert (outcome.verdict, outcome.first.metric, outcome.first.step) == ("different", first, None)


def test_a_final_metric_that_only_the_new_run_has_is_different(finished_run, copied):
    poorer = change_json(copied, "summary.json", lambda values: values["test"].pop("loss"))
    assert compare_runs(poorer, finished_run).verdict == "different"


def test_rows_that_are_missing_are_different(finished_run, copied):
    file = copied.path / "metrics.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    outcome = compare_runs(finished_run, copied)
    assert (outcome.verdict, outcome.first.metric) == ("different", "number of logged rows")


def test_not_a_number_is_the_same_as_itself(finished_run, tmp_path):
    first, second = (
        change_metric(
            Run.open(shutil.copytree(finished_run.path, tmp_path / name)), 0, "train/loss", lambda _: math.nan
        )
        for name in ("first", "second")
    )
    assert compare_runs(first, second).verdict == "identical"
    assert compare_runs(first, finished_run).verdict == "different"


def test_other_weights_alone_are_not_identical(finished_run, copied):
    changed = change_json(copied, "summary.json", lambda values: values.update(weights_sha256="0" * 64))
    assert compare_runs(finished_run, changed).verdict == "equal within tolerance"


def test_the_environment_s_differences_are_named():
    recorded = {"threads": 1, "packages": {"torch": "2.0", "old": "1"}, "git": {"commit": "a", "diff": "x"}, "cpu": "c"}
    current = {"threads": 2, "packages": {"torch": "2.1"}, "git": {"commit": "b", "diff": "y"}, "cpu": "c"}
    assert environment_differences(recorded, current) == [
        "git.commit: a in the record, b now",
        "git.diff: differs",
        "packages.old: 1 in the record, none now",
        "packages.torch: 2.0 in the record, 2.1 now",
        "threads: 1 in the record, 2 now",
    ]
    assert environment_differences(recorded, recorded) == []


@pytest.mark.parametrize("threads", [None, 0, "two"])
def test_a_record_without_a_thread_count_is_refused(copied, threads):
    changed = change_json(copied, "environment.json", lambda values: values.update(threads=threads))
    with pytest.raises(Refused, match=f"threads={threads}"):
        recorded_threads(changed)
