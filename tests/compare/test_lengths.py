"""Quality by length of the source: bins of test items, and what each variant comes to in them."""

import itertools
import json
import math

import pytest
from browser import needs_browser, opened
from cases import cases
from hypothesis import strategies as st

from attncompare.compare import compare_groups
from attncompare.compare.data import as_data
from attncompare.compare.lengths import bins_of, by_length
from attncompare.compare.page import write_report
from attncompare.compare.page.charts import length_figures
from attncompare.compare.statistics import FEWEST_ITEMS

LENGTHS = [3 + item // 30 for item in range(120)]  # 30 sources each of 3, 4, 5 and 6 words
SOURCES = ["a" + " b" * (length - 1) for length in LENGTHS]


@pytest.fixture
def compared(make_run):
    """Compare a variant that is right on short sources with one that always is; each seed misses one more source."""

    def right(name, seed, item):
        return item >= seed and (name == "additive" or LENGTHS[item] < 5)

    def write(seeds=(1, 2, 3), lacking=(), sources=SOURCES, **options):
        runs = []
        for name in ("additive", "dot"):
            for seed in seeds:
                kept = [item for item in range(120) if (name, item) not in lacking]
                equal = {item: int(right(name, seed, item)) for item in kept}
                items = [{"id": item, "exact_match": [one, 1]} for item, one in equal.items()]
                test = {"exact_match": sum(equal.values()) / len(equal)}
                answers = {"answers": ["x"] * 120, "sources": sources}
                runs.append(
                    make_run(f"{name}{seed}", f"attention={name}", f"seed={seed}", test=test, items=items, **answers)
                )
        (comparison,) = compare_groups(runs, **options)
        return comparison

    return write


@cases(quick=40, long=500, lengths=st.lists(st.integers(1, 12), max_size=300))
def test_bins_are_ordered_hold_every_item_once_and_none_is_small(lengths):
    bins = bins_of(dict(enumerate(lengths)))
    assert sorted(item for one in bins for item in one.items) == list(range(len(lengths)))
    assert all(one.longest < other.shortest for one, other in itertools.pairwise(bins))
    for one in bins:
        assert {lengths[item] for item in one.items} <= set(range(one.shortest, one.longest + 1))
        assert one.shortest <= one.middle <= one.longest
        assert len(one.items) >= min(FEWEST_ITEMS, len(lengths))


def test_bins_are_as_equal_as_their_lengths_allow():
    assert [one.text for one in bins_of(dict(enumerate(LENGTHS)))] == ["3", "4", "5", "6"]
    assert [len(one.items) for one in bins_of(dict(enumerate(range(600))))] == [100] * 6


def test_each_bin_has_the_figures_of_its_own_items_over_seeds(compared):
    comparison = compared()
    found = by_length(comparison)
    assert (found.unit, [one.text for one in found.bins]) == ("words", ["3", "4", "5", "6"])
    means = {label: [one.mean for one in each] for (label, name), each in found.estimates.items()}
    assert set(found.estimates) == {("additive", "exact_match"), ("dot", "exact_match")}
    assert means["additive"] == pytest.approx([28 / 30, 1, 1, 1])  # the three seeds miss 1, 2 and 3 sources
    assert means["dot"] == pytest.approx([28 / 30, 1, 0, 0])
    first = found.estimates["dot", "exact_match"][0]
    assert first.n == 3 and 0 <= first.interval.low < first.mean < first.interval.high <= 1
    data = as_data([comparison])["comparisons"][0]["by_length"]
    assert [one["items"] for one in data["bins"]] == [30] * 4 and len(data["estimates"]) == 2
    (figure,) = length_figures(comparison)
    json.dumps(figure, allow_nan=False)
    assert figure["ticks"] == [[3.0, "3"], [4.0, "4"], [5.0, "5"], [6.0, "6"]]
    assert [line["label"] for line in figure["lines"]] == ["additive", "dot"]
    assert figure["lines"][1]["y"] == pytest.approx([100 * 28 / 30, 100, 0, 0], rel=1e-4)


def test_there_is_nothing_without_lengths_or_the_figures_of_each_item(compared):
    for comparison in (compared(seeds=(1,), sources=None), compared(seeds=(2,), sources=["a b c"] * 120)):
        assert by_length(comparison).bins == () and length_figures(comparison) == []


def test_a_variant_whose_record_lacks_an_item_has_no_figures(compared):
    assert {label for label, _ in by_length(compared(lacking=[("dot", 7)])).estimates} == {"additive"}


def test_without_spaces_characters_are_counted(compared):
    found = by_length(compared(sources=["あ" * length for length in LENGTHS]))
    assert (found.unit, math.fsum(one.middle for one in found.bins)) == ("characters", 18.0)


@needs_browser
def test_the_page_draws_it(compared, tmp_path):
    write_report([compared()], tmp_path / "page.html")
    with opened(tmp_path / "page.html") as (page, problems):
        page.wait_for_selector("html[data-drawn=all]")
        assert page.locator("[data-along] .chart svg").count() == 1 and problems == []
        assert page.get_by_text("Along source length (words)").count() == 1
