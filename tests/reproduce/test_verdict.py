"""Where two runs diverge: identical, equal within a tolerance, or different, and by how much."""

import json
import math
from dataclasses import replace

import pytest

from attncompare.reproduce.verdict import Facts, compare

ROWS = [
    {"step": 1, "epoch": 0, "train/loss": 4.0, "train/tokens_per_second": 100.0},
    {"step": 2, "epoch": 0, "train/loss": 3.0, "train/tokens_per_second": 110.0},
    {"step": 2, "epoch": 0, "val/loss": 3.5, "val/bleu": 0.0},
]
FINAL = {
    "val": {"loss": 3.5, "bleu": 0.0},
    "test": {"loss": 3.6, "bleu": 1.0},
    "steps": 2,
    "best_step": 2,
    "weights_sha256": "a" * 64,
    "training_state_sha256": "b" * 64,
    "predictions": [{"id": 0, "prediction": "abc"}, {"id": 1}],
    "items": [{"id": 0, "loss": [1.0, 2.0]}],
}
RUN = Facts("runs/x", "finished", {}, {}, ROWS, FINAL)


def with_row(number, **changes):
    rows = [dict(row) for row in ROWS]
    rows[number].update(changes)
    return replace(RUN, rows=rows)


def with_final(**changes):
    return replace(RUN, final={**FINAL, **changes})


def without_final(*keys):
    return replace(RUN, final={key: value for key, value in FINAL.items() if key not in keys})


def test_a_run_is_identical_to_itself_and_all_of_it_was_compared():
    outcome = compare(RUN, RUN)
    assert (outcome.verdict, outcome.first, outcome.not_compared) == ("identical", None, ())
    assert outcome.compared == ("3 rows of metrics up to step 2", *FINAL)
    assert compare(RUN, with_row(0, **{"train/tokens_per_second": 7.0})).verdict == "identical"


@pytest.mark.parametrize(
    ("factor", "tolerance", "verdict"),
    [(1.0009, 1e-3, "equal within tolerance"), (1.01, 1e-3, "different"), (1 + 1e-6, 0, "different")],
)
def test_the_size_of_a_difference_decides(factor, tolerance, verdict):
    outcome = compare(RUN, with_row(1, **{"train/loss": 3.0 * factor}), tolerance=tolerance)
    assert outcome.verdict == verdict
    assert (outcome.first.metric, outcome.first.step) == ("train/loss", 2)
    assert outcome.first.relative == pytest.approx(1 - 1 / factor)


def test_what_the_record_does_not_hold_is_not_compared_and_said():
    richer = replace(with_final(test={**FINAL["test"], "ter": 9.0}), rows=[{**row, "train/new": 9} for row in ROWS])
    outcome = compare(RUN, richer)
    missing = ("train/new (not in the record)", "test/ter (not in the record)")
    assert (outcome.verdict, outcome.not_compared) == ("identical", missing)
    assert compare(richer, RUN).verdict == "different"  # it had them, and now they are gone
    poorer = compare(without_final("val", "weights_sha256", "predictions"), RUN)
    assert poorer.verdict == "identical" and len(poorer.not_compared) == 3
    assert compare(RUN, without_final("val")).verdict == "different"


def test_the_first_difference_and_the_first_beyond_the_tolerance_are_both_named():
    rows = [dict(row) for row in ROWS]
    rows[0]["train/loss"], rows[1]["train/loss"], rows[2]["val/bleu"] = 4.0 * (1 + 1e-9), 3.3, math.nan
    outcome = compare(RUN, replace(RUN, rows=rows))
    assert outcome.verdict == "different"
    assert (outcome.first.metric, outcome.first.step) == ("train/loss", 1)
    assert (outcome.first_beyond.metric, outcome.first_beyond.step) == ("train/loss", 2)
    assert [(one.metric, one.step) for one in outcome.largest()] == [("val/bleu", 2), ("train/loss", 2)]
    assert json.loads(json.dumps(outcome.largest()[0].to_dict(), allow_nan=False))["reproduced"] == "nan"


@pytest.mark.parametrize(("part", "value"), [("val", 9.0), ("test", math.nan), ("test", math.inf), ("val", None)])
def test_a_final_metric_that_differs_is_different(part, value):
    outcome = compare(RUN, with_final(**{part: {**FINAL[part], "loss": value}}))
    assert (outcome.verdict, outcome.first.step, outcome.first.metric) == ("different", None, f"{part}/loss")


def test_missing_rows_are_different_and_nan_is_the_same_as_itself_alone():
    outcome = compare(RUN, replace(RUN, rows=ROWS[:-1]), tolerance=0.9)
    assert (outcome.verdict, outcome.first.metric) == ("different", "number of logged rows")
    broken = with_row(0, **{"train/loss": math.nan})
    assert compare(broken, with_row(0, **{"train/loss": math.nan})).verdict == "identical"
    assert compare(broken, RUN, tolerance=0.9).verdict == "different"


@pytest.mark.parametrize("key", ["weights_sha256", "training_state_sha256", "best_step", "predictions", "items"])
def test_what_follows_from_the_metrics_is_not_identical_but_equal_if_they_are(key):
    other = "0" * 64 if isinstance(FINAL[key], str) else 1 if isinstance(FINAL[key], int) else FINAL[key][1:]
    outcome = compare(RUN, with_final(**{key: other}))
    assert (outcome.verdict, outcome.first.metric) == ("equal within tolerance", key)
    assert outcome.largest() == []


def test_only_the_first_steps():
    late = with_row(2, **{"val/loss": 99.0})
    early = compare(late, RUN, steps=1)
    assert (early.verdict, early.compared) == ("identical", ("1 row of metrics up to step 1",))
    assert "anything after step 1" in early.not_compared[0]
    assert compare(late, RUN, steps=2).verdict == "different"


@pytest.mark.parametrize("value", [10**400, -1e308, 5e-324, True, "text", [1]])
def test_no_value_is_too_strange_to_be_compared(value):
    for pair in ((RUN, with_row(0, **{"train/loss": value})), (RUN, with_final(test={"loss": value}))):
        outcome = compare(*pair)
        assert outcome.verdict == "different" and outcome.first.metric.endswith("loss")
        assert compare(pair[1], pair[1]).verdict == "identical"


def test_what_a_stranger_wrote_is_spelled_out_and_cut():
    line = str(compare(with_row(0, **{"train/\x1b[2J": 1.0}), RUN).first)
    assert line.startswith("train/\\x1b[2J at step 1: ")
    assert len(str(compare(RUN, with_final(weights_sha256="x" * 10**6)).first)) < 400
