import json
import math

import pytest

from attncompare.compare.curves import curve_figures, mean_and_band, thin
from attncompare.compare.groups import compare_groups
from attncompare.compare.page_values import padded, shown


def seeds_of(make_run, *curves, name="dot"):
    """Write one run for each curve of training loss, at steps 10, 20, ..."""
    for seed, losses in enumerate(curves, 1):
        rows = [(10 * (place + 1), {"train/loss": loss}) for place, loss in enumerate(losses)]
        yield make_run(f"{name}{seed}", f"attention={name}", f"seed={seed}", validations=rows)


def drawn(runs):
    (comparison,) = compare_groups(list(runs))
    return {figure["title"]: figure["data"] for figure in curve_figures(comparison)}["training loss"]


def test_three_seeds_are_a_band_the_single_curves_and_their_mean(make_run):
    band, single, mean = drawn(seeds_of(make_run, [4, 3], [5, 3], [6, 3]))
    assert (mean["x"], mean["y"]) == ([10, 20], [5, 3])
    assert single["y"] == [4, 3, None, 5, 3, None, 6, 3]
    half = 4.302653 / math.sqrt(3)  # Student's t for 2 degrees of freedom, standard deviation 1
    assert band["x"] == [10, 20, 20, 10]
    assert band["y"] == pytest.approx([5 + half, 3, 3, 5 - half], rel=1e-4)


def test_two_seeds_have_no_band_and_one_has_its_line_alone(make_run):
    assert [line["mode"] for line in drawn(seeds_of(make_run, [4, 3], [5, 3]))] == ["lines", "lines+markers"]
    (line,) = drawn(seeds_of(make_run, [4, 3], name="scaled"))
    assert line["y"] == [4, 3]


def test_a_diverged_seed_breaks_neither_the_mean_nor_json(make_run):
    steps, means, halves = mean_and_band([[(1, 2.0), (2, math.nan)], [(1, 4.0), (2, 1.0)], [(1, 3.0), (2, 1.0)]])
    assert (steps, means) == ([1], [3.0]) and len(halves) == 1
    lines = drawn(seeds_of(make_run, [4, math.inf], [5, 3], [6, 3]))
    json.dumps(lines, allow_nan=False)


def test_each_variant_has_its_color_and_a_repeated_color_another_dash(make_run):
    runs = [make_run(f"h{heads}", f"attention.heads={heads}") for heads in range(1, 9)]
    lines = drawn(runs)
    assert len({line["line"]["color"] for line in lines}) == 7
    assert len({(line["line"]["color"], line["line"]["dash"]) for line in lines}) == 8


def test_percent_axes_show_percent(make_run):
    (comparison,) = compare_groups([make_run("a"), make_run("b", "attention=dot")])
    figures = {figure["title"]: figure for figure in curve_figures(comparison)}
    assert list(figures)[:3] == ["training loss", "validation loss", "validation BLEU"]
    assert figures["validation exact match"]["data"][0]["y"] == [25, 25, 25]


def test_long_curves_are_thinned_and_keep_both_ends():
    points = [(float(step), 0.0) for step in range(100_001)]
    kept = thin(points)
    assert 300 < len(kept) <= 601 and kept[0] == points[0] and kept[-1] == points[-1]
    assert thin(points[:50]) == points[:50] and len(thin(points, 40)) <= 41


def test_an_axis_whose_margin_would_be_infinite_has_no_range():
    assert padded([1.0, 3.0], 0.5) == [0.0, 4.0]
    for values in ([1.7120886998688722e308], [-1.7120886998688722e308], [-1.7e308, 1.7e308], []):
        assert padded(values) is None


def test_the_largest_figures_are_shown_as_numbers():
    assert shown(1.79765e308) == 1.79765e308 and shown(-1.79765e308) == -1.79765e308
    assert shown(1.234567) == 1.2346 and shown(math.nan) is shown(math.inf) is shown(None) is None
