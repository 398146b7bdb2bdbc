import json
import math

from attncompare.compare.groups import compare_groups
from attncompare.compare.page_pareto import front, pareto_data
from attncompare.compare.table import result_table
from attncompare.text import COSTS, METRICS

NAMES = ("additive", "dot", "scaled", "causal")


def table_of(make_run, figures):
    """Write one run for each (BLEU, parameters, tokens/s)."""
    runs = [
        make_run(
            name, f"attention={name}", test={"bleu": bleu}, cost={"parameters": parameters, "tokens_per_second": speed}
        )
        for name, (bleu, parameters, speed) in zip(NAMES, figures, strict=False)
    ]
    (comparison,) = compare_groups(runs)
    return comparison, result_table(comparison)


def test_the_front_holds_what_no_other_beats_in_both(make_run):
    _, table = table_of(make_run, [(30, 100, 5.0), (20, 100, 9.0), (32, 300, 5.0), (31, 300, 1.0)])
    bleu, parameters, speed = METRICS["bleu"], COSTS["parameters"], COSTS["tokens_per_second"]

    def names(places):
        return [table.rows[place].variant.label for place in places]

    assert names(front(table.rows, bleu, parameters)) == ["additive", "scaled"]  # cheapest first
    assert names(front(table.rows, bleu, speed)) == ["dot", "scaled"]


def test_the_cost_that_differs_most_comes_first_and_ranges_hold_all_points(make_run):
    comparison, table = table_of(make_run, [(30, 100, 5.0), (20, 100, 9.0)])
    data = pareto_data(comparison, table)
    assert data["costs"][0]["key"] == "tokens_per_second" and data["costs"][0]["better"] == "more"
    for axis in (*data["qualities"], *data["costs"]):
        values = [point["at"][axis["key"]]["value"] for point in data["points"]]
        assert axis["range"][0] < min(values) and max(values) < axis["range"][1]
    json.dumps(data, allow_nan=False)


def test_an_axis_that_a_run_lacks_is_not_offered(make_run):
    comparison, table = table_of(make_run, [(math.nan, 100, 5.0), (20, 100, 9.0)])
    assert "bleu" not in [axis["key"] for axis in pareto_data(comparison, table)["qualities"]]


def test_one_model_has_no_picture(make_run):
    comparison, table = table_of(make_run, [(30, 100, 5.0)])
    assert pareto_data(comparison, table) is None
