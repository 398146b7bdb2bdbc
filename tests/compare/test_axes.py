"""Along which axes variants differ, and what is drawn along numbers."""

import json

import pytest
from browser import needs_browser, opened

from attncompare.compare import Options, as_text, compare_groups
from attncompare.compare.data import as_data
from attncompare.compare.page import write_report
from attncompare.compare.page.charts import axis_figures, axis_grids


def compared(runs, **options):
    (comparison,) = compare_groups(list(runs), **options)
    return comparison


@pytest.fixture
def crossed(make_run):
    """Write a run for every combination of the values of some keys; BLEU is the sum of the numbers."""

    def write(seeds=(1,), **values):
        combinations = [[]]
        for key, choices in values.items():
            combinations = [[*one, (key.replace("__", "."), choice)] for one in combinations for choice in choices]
        return [
            make_run(
                f"{len(values)}-{place}-{seed}",
                *(f"{key}={value}" for key, value in one),
                f"seed={seed}",
                test={"bleu": sum(value for _, value in one if not isinstance(value, str)) + seed / 10},
            )
            for place, one in enumerate(combinations)
            for seed in seeds
        ]

    return write


@pytest.mark.parametrize(
    ("values", "axes"),
    [
        # Named variants are one axis, also where one has other heads than the others.
        ({"attention": ("dot", "multihead", "scaled")}, ["attention (3 variants)"]),
        ({"attention__heads": (1, 2, 4)}, ["attention.heads (3 values)"]),
        (
            {"attention": ("dot", "scaled"), "attention__heads": (1, 4)},
            ["attention (2 variants)", "attention.heads (2 values)"],
        ),
        (
            {"attention": ("dot", "scaled"), "optimizer__lr": (0.1, 0.2, 0.3)},
            ["attention (2 variants)", "optimizer.lr (3 values)"],
        ),
        ({"backbone__positions": ("learned", "sinusoidal")}, ["backbone.positions (2 values)"]),
        # The settings of a backbone belong to its name.
        ({"backbone": ("recurrent", "transformer")}, ["backbone.name (2 values)"]),
        ({"trainer__average_last": (2, 3)}, ["trainer.average_last (2 values)"]),
    ],
)
def test_axes_are_found_and_said_first(crossed, values, axes):
    comparison = compared(crossed(**values))
    assert [str(axis) for axis in comparison.axes] == axes
    assert as_text([comparison], 150).startswith(f"Axes: {', '.join(axes)}\n")
    labels = [variant.label for variant in comparison.variants]
    assert len(set(labels)) == len(labels)
    assert [axis.partition(" ")[0] for axis in axes] == list(as_data([comparison])["comparisons"][0]["axes"])
    assert not any("every combination" in note for note in comparison.notes)


def test_axes_that_are_not_crossed_are_said_and_a_picked_one_is_none(crossed, make_run):
    runs = crossed(attention=("dot", "scaled"), optimizer__lr=(0.1, 0.2))
    assert any("not every combination of attention, optimizer.lr" in note for note in compared(runs[:3]).notes)
    comparison = compared(runs, options=Options(tune=("optimizer.lr",)))
    assert [str(axis) for axis in comparison.axes] == ["attention (2 variants)"]


def test_along_one_axis_of_numbers_each_other_variant_is_a_line(crossed):
    runs = crossed(seeds=range(1, 6), attention=("dot", "scaled"), attention__heads=(4, 1, 2))
    figures = axis_figures(compared(runs))
    json.dumps(figures, allow_nan=False)
    bleu = figures[0]
    assert (bleu["title"], bleu["x"]) == ("BLEU", "attention.heads")
    assert [text for _, text in bleu["ticks"]] == ["1", "2", "4"]
    assert [line["label"] for line in bleu["lines"]] == ["dot", "scaled"]
    for line in bleu["lines"]:
        assert line["y"] == pytest.approx([1.3, 2.3, 4.3])
        assert all(low < mean < high for mean, (low, high) in zip(line["y"], line["around"], strict=True))
        assert bleu["range"][0] < line["around"][0][0] and line["around"][2][1] < bleu["range"][1]
    assert len({line["color"] for line in bleu["lines"]}) == 2
    assert axis_grids(compared(runs)) == []


def test_along_two_axes_of_numbers_there_is_a_grid_for_each_other_variant(crossed):
    runs = crossed(attention=("dot", "scaled"), attention__heads=(1, 4), backbone__layers=(3, 1))
    grids = [grid for grid in axis_grids(compared(runs[:-1])) if grid.title.startswith("BLEU")]
    assert [grid.title for grid in grids] == ["BLEU: dot", "BLEU: scaled"]
    assert (grids[0].rows.distinct, grids[0].columns.distinct) == ([1, 4], [1, 3])
    assert [[cell and cell.text for cell in row] for row in grids[1].cells] == [["2.10", "4.10"], [None, "7.10"]]
    assert [cell.share for row in grids[0].cells for cell in row] == pytest.approx([0, 0.4, 0.6, 1])
    assert axis_figures(compared(runs)) == []


@needs_browser
def test_the_page_draws_them(crossed, tmp_path):
    for values, drawn in (
        ({"attention__heads": (1, 2, 64)}, "[data-along] .chart svg"),
        ({"attention__heads": (1, 2), "backbone__layers": (1, 3)}, "table.heat"),
    ):
        file = tmp_path / f"{len(values)}.html"
        write_report([compared(crossed(**values))], file)
        with opened(file) as (page, problems):
            page.wait_for_selector("html[data-drawn=all]")
            assert page.locator(drawn).count() == 4 and problems == []
            assert page.get_by_text("Axes: attention.heads").count() == 1
