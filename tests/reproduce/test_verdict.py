"""Where two runs part: identical, equal within a tolerance, or different, and by how much."""

import math
from dataclasses import replace

import pytest

from attncompare.reproduce.facts import Facts
from attncompare.reproduce.verdict import compare

ROWS = [
    {"step": 1, "epoch": 0, "train/loss": 4.0, "train/tokens_per_second": 100.0},
    {"step": 2, "epoch": 0, "train/loss": 3.0, "train/tokens_per_second": 110.0},
    {"step": 2, "epoch": 0, "val/loss": 3.5, "val/bleu": 0.0},
]
FINAL = {
    "val": {"loss": 3.5, "bleu": 0.0},
    "test": {"loss": 3.6},
    "steps": 2,
    "best_step": 2,
    "weights_sha256": "a" * 64,
    "training_state_sha256": "b" * 64,
}
RUN = Facts("runs/x", "finished", {}, {}, ROWS, FINAL, [{"index": 0, "prediction": "abc"}, {"index": 1}])


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
    assert outcome.compared == (
        *("3 rows of metrics up to step 2", "val", "test", "steps", "best step", "final weights", "training state"),
        "predictions",
    )


def test_what_a_clock_measured_does_not_count():
    assert compare(RUN, with_row(0, **{"train/tokens_per_second": 7.0})).verdict == "identical"


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1 + 1e-6, "equal within tolerance"), (1.0009, "equal within tolerance"), (1.01, "different")],
)
def test_the_size_of_a_difference_decides(factor, verdict):
    outcome = compare(RUN, with_row(1, **{"train/loss": 3.0 * factor}))
    assert outcome.verdict == verdict
    assert (outcome.first.metric, outcome.first.step) == ("train/loss", 2)
    assert outcome.first.relative == pytest.approx(1 - 1 / factor)


def test_the_tolerance_can_be_chosen():
    slightly = with_row(1, **{"train/loss": 3.0 * (1 + 1e-6)})
    assert compare(RUN, slightly, tolerance=0).verdict == "different"
    assert compare(RUN, slightly, tolerance=1e-7).verdict == "different"
    assert compare(RUN, with_row(1, **{"train/loss": 3.3}), tolerance=0.1).verdict == "equal within tolerance"
    assert compare(RUN, RUN, tolerance=0).verdict == "identical"


def test_a_column_that_the_record_never_had_is_not_compared_and_said():
    now = replace(RUN, rows=[{**row, "train/tokens": 9} for row in ROWS])
    outcome = compare(RUN, now)
    assert (outcome.verdict, outcome.not_compared) == ("identical", ("train/tokens (not in the record)",))
    assert compare(now, RUN).verdict == "different"  # it had it, and now it is gone


def test_the_first_difference_of_any_size_and_the_first_beyond_the_tolerance_are_both_named():
    rows = [{**row, **{key: value * 1.5 for key, value in row.items() if key == "val/loss"}} for row in ROWS]
    rows[0]["train/loss"] *= 1 + 1e-9
    outcome = compare(RUN, replace(RUN, rows=rows))
    assert outcome.verdict == "different"
    assert (outcome.first.metric, outcome.first.step) == ("train/loss", 1)
    assert (outcome.first_beyond.metric, outcome.first_beyond.step) == ("val/loss", 2)


def test_the_largest_difference_of_each_metric_is_kept():
    rows = [dict(row) for row in ROWS]
    rows[0]["train/loss"], rows[1]["train/loss"] = 4.4, 3.0 * (1 + 1e-9)
    rows[2]["val/bleu"] = math.nan
    worst = compare(RUN, replace(RUN, rows=rows)).largest()
    assert worst.keys() == {"train/loss", "val/bleu"}
    assert (worst["train/loss"].step, worst["val/bleu"].relative) == (1, None)


@pytest.mark.parametrize("part", ["val", "test"])
@pytest.mark.parametrize("value", [9.0, math.nan, math.inf, None])
def test_a_final_metric_that_differs_is_different_either_way_round(part, value):
    changed = with_final(**{part: {**FINAL[part], "loss": value} if value else {"bleu": 0.0}})
    for pair in ((RUN, changed), (changed, RUN)):
        outcome = compare(*pair)
        assert (outcome.verdict, outcome.first.step) == ("different", None)
        assert outcome.first.metric.startswith(f"{part}/")


def test_a_metric_that_came_after_the_record_is_not_compared_and_said():
    newer = with_final(test={**FINAL["test"], "ter": 50.0})
    outcome = compare(RUN, newer)
    assert (outcome.verdict, outcome.not_compared) == ("identical", ("test/ter (not in the record)",))
    assert compare(newer, RUN).verdict == "different"
    assert compare(newer, with_final(test={**FINAL["test"], "ter": 60.0})).verdict == "different"


def test_rows_that_are_missing_are_different():
    outcome = compare(RUN, replace(RUN, rows=ROWS[:-1]), tolerance=0.9)
    assert (outcome.verdict, outcome.first.metric) == ("different", "number of logged rows")


def test_not_a_number_is_the_same_as_itself_and_as_nothing_else():
    broken = with_row(0, **{"train/loss": math.nan})
    assert compare(broken, with_row(0, **{"train/loss": math.nan})).verdict == "identical"
    assert compare(broken, RUN, tolerance=0.9).verdict == "different"


@pytest.mark.parametrize("key", ["weights_sha256", "training_state_sha256", "best_step"])
def test_what_follows_from_the_metrics_is_not_identical_but_equal_if_they_are(key):
    outcome = compare(RUN, with_final(**{key: "0" * 64}))
    assert (outcome.verdict, outcome.first.metric) == ("equal within tolerance", key)


def test_predictions_without_the_texts_of_the_data_are_held_to_what_they_have():
    texts = [{**row, "source": "a", "reference": "b"} for row in RUN.predictions]
    assert compare(RUN, replace(RUN, predictions=texts)).first is None
    outcome = compare(RUN, replace(RUN, predictions=[{**texts[0], "prediction": "abd"}, texts[1]]))
    assert "1 equal among 2 rows now" in str(outcome.first)


def test_other_predictions_are_counted():
    outcome = compare(RUN, replace(RUN, predictions=[{"index": 0, "prediction": "abd"}, {"index": 1}]))
    assert outcome.verdict == "equal within tolerance"
    assert str(outcome.first) == "predictions: 2 rows in the record, 1 equal among 2 rows now"


def test_only_the_first_steps():
    late = with_row(2, **{"val/loss": 99.0})
    early = compare(late, RUN, steps=1)
    assert (early.verdict, early.compared) == ("identical", ("1 row of metrics up to step 1",))
    assert "anything after step 1" in early.not_compared[0]
    assert compare(late, RUN, steps=2).verdict == "different"


def test_a_record_that_holds_less_is_compared_as_far_as_it_goes():
    rows = [{key: value for key, value in row.items() if key != "epoch"} for row in ROWS]
    poorer = replace(without_final("val", "weights_sha256", "training_state_sha256"), rows=rows, predictions=None)
    outcome = compare(poorer, RUN)
    assert outcome.verdict == "identical"
    told = "; ".join(outcome.not_compared)
    for words in (
        "epoch (not in the record)",
        "val (not in the record)",
        "final weights (not in the record)",
        "predictions",
    ):
        assert words in told
    assert compare(RUN, without_final("training_state_sha256")).not_compared == (
        "training state (not in the reproduction)",
    )
    assert compare(poorer, with_row(0, **{"train/loss": 5.0})).verdict == "different"


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e308, -1e308, 5e-324, True, "text", [1], {}])
def test_no_value_is_too_strange_to_be_compared(value):
    for pair in ((RUN, with_row(0, **{"train/loss": value})), (RUN, with_final(test={"loss": value}))):
        outcome = compare(*pair)
        assert outcome.verdict == "different" and outcome.first.metric.endswith("loss")
        assert compare(pair[1], pair[1]).verdict == "identical"


def test_what_a_stranger_wrote_is_spelled_out():
    escaped = str(compare(with_row(0, **{"train/\x1b[2J": 1.0}), RUN).first)
    assert escaped == "train/\\x1b[2J at step 1: 1.0 in the record, none now"
    long = str(compare(RUN, with_final(weights_sha256="x" * 10**6)).first)
    assert len(long) < 400
