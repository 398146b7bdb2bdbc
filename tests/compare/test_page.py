"""The data of the page: headline, charts, maps, samples, records."""

import json
import math

import pytest
from sample_maps import sample_probe

from attncompare.compare import compare_groups, verdicts
from attncompare.compare.page.charts import (
    curve_figures,
    drawn_variants,
    front,
    head_figures,
    mean_and_band,
    padded,
    pareto_data,
    shown,
    styles_of,
    thin,
)
from attncompare.compare.page.record import evenly, page_maps, record, samples
from attncompare.compare.page.report import headline, pairs_by_metric
from attncompare.compare.table import result_table
from attncompare.config.variants import variant_names
from attncompare.maps import variant_colors

NOISE = [0.1, -0.2, 0.3, 0.0, -0.1, 0.2, 0.15, -0.05]


def compared(runs, **options):
    (comparison,) = compare_groups(list(runs), **options)
    return comparison


# The answer.


@pytest.fixture
def scored(make_run):
    """Compare variants by their BLEU of each seed; the loss goes the other way, so that it agrees."""

    def make(**scores):
        comparison = compared(
            make_run(f"{name}{seed}", f"attention={name}", f"seed={seed}", test={"bleu": bleu, "loss": 5 - bleu / 10})
            for name, values in scores.items()
            for seed, bleu in enumerate(values, 1)
        )
        return comparison, verdicts(comparison)

    return make


def around(mean, order=1):
    return [mean + noise for noise in NOISE[::order]]


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (
            {"dot": around(30), "scaled": around(32, -1), "additive": around(28, -1)},
            "scaled is better than all 2 others",
        ),
        (
            {"dot": around(20), "scaled": around(32, -1), "additive": around(32)},
            "dot is worse in BLEU. Which of scaled and",
        ),
        ({"dot": around(30), "scaled": around(30, -1)}, "No difference in BLEU is decided."),
        ({"dot": [30], "scaled": [60]}, "One seed decides nothing"),
        ({"additive": [30, 31]}, "One model alone"),
    ],
)
def test_the_headline_says_what_the_verdicts_say_together(scored, scores, words):
    assert headline(*scored(**scores)).startswith(words)


@pytest.mark.parametrize("metric", ["bleu", "loss"])
def test_the_strip_shows_the_better_variant_to_the_right_of_no_difference(scored, metric):
    pairs = {one.metric.name: one for one in pairs_by_metric(scored(dot=around(30), scaled=around(32, -1))[1])}
    (line,) = pairs[metric].shown
    zero, mean, low, high = line.strip
    assert line.ahead.label == "scaled" and 0 <= zero < low < mean < high <= 100
    assert pairs[metric].decided == 1 and pairs[metric].folded == ()


def test_figures_that_are_not_finite_have_no_strip(scored):
    _, found = scored(dot=[30, math.nan], scaled=[31, 32])
    assert pairs_by_metric(found)[0].shown[0].strip == ()


# Curves.


def curves(comparison):
    found = curve_figures(drawn_variants(comparison), comparison.drawn)
    json.dumps(found, allow_nan=False)
    return {figure["title"]: figure for figure in found}


@pytest.fixture
def losses_of(make_run):
    """Draw one run for each curve of training loss, at steps 10, 20, ..."""

    def draw(*given):
        runs = []
        for seed, losses in enumerate(given, 1):
            rows = [(10 * (place + 1), {"train/loss": loss}) for place, loss in enumerate(losses)]
            runs.append(make_run(f"{seed}", f"seed={seed}", validations=rows))
        (line,) = curves(compared(runs))["training loss"]["lines"]
        return line

    return draw


def test_three_seeds_are_a_band_the_single_curves_and_their_mean(losses_of):
    line = losses_of([4, 3], [5, 3], [6, 3])
    assert (line["x"], line["y"]) == ([10, 20], [5, 3])
    assert line["half"] == pytest.approx([4.302653 / math.sqrt(3), 0], rel=1e-4)  # Student's t for 2 degrees of freedom
    assert [seed["y"] for seed in line["seeds"]] == [[4, 3], [5, 3], [6, 3]]


def test_a_diverged_seed_breaks_neither_the_mean_nor_json(losses_of):
    steps, means, halves = mean_and_band([[(1, 2.0), (2, math.nan)], [(1, 4.0), (2, 1.0)], [(1, 3.0), (2, 1.0)]])
    assert (steps, means) == ([1], [3.0]) and len(halves) == 1
    losses_of([4, math.inf], [5, 3], [6, 3])


def test_two_seeds_have_no_band_and_long_curves_keep_both_ends(losses_of):
    line = losses_of([4, 3], [5, 3])
    assert line["half"] is None and len(line["seeds"]) == 2
    points = [(float(step), 0.0) for step in range(100_001)]
    few = thin(points)
    assert 300 < len(few) <= 601 and few[0] == points[0] and few[-1] == points[-1]


def test_a_repeated_color_has_another_dash_and_shares_are_drawn_in_percent(make_run):
    figures = curves(compared(make_run(f"h{heads}", f"attention.heads={heads}") for heads in range(1, 9)))
    lines = figures["training loss"]["lines"]
    assert len({line["color"] for line in lines}) == 7 and len({(line["color"], line["dash"]) for line in lines}) == 8
    many = styles_of(variant_colors(variant_names()))
    assert len(set(many.values())) == len(many) > 28  # more than colors and dashes
    assert list(figures)[:3] == ["training loss", "validation BLEU", "validation loss"]
    assert figures["validation exact match"]["lines"][0]["y"] == [25, 25, 25]


def heads_at(step, *values, number="entropy"):
    return step, {f"heads/cross/{1 + n // 2}.{1 + n % 2}/{number}": value for n, value in enumerate(values)}


def test_numbers_of_heads_are_drawn_from_before_training_with_their_mean_over_layers_and_seeds(make_run):
    runs = [
        make_run("a", "attention=dot", validations=[heads_at(0, 1.0, 3.0, 2.0), heads_at(100, 0.0, math.nan, 1.0)]),
        make_run(
            "b", "attention=dot", "seed=2", validations=[heads_at(0, 2.0, 2.0, 2.0), heads_at(100, 1.0, 2.0, 3.0)]
        ),
        make_run("c", "attention=scaled", validations=[heads_at(0, 1.0), heads_at(0, 0.25, number="aer")]),
    ]
    entropy, error = head_figures(drawn_variants(compared(runs)))
    assert (entropy["title"], entropy["unit"]) == ("entropy in cross-attention", "entropy (nats)")
    dot, scaled = entropy["lines"]
    assert (dot["x"], dot["y"]) == ([0, 100], [2, 1.25])  # of seeds, (2, 0.5) and (2, 2)
    assert [line["y"] for line in dot["seeds"]] == [[1, 0], [3, None], [2, 1]]  # the heads of the first seed
    assert (scaled["y"], scaled["seeds"]) == ([1], [])
    assert error["unit"] == "alignment error (%)" and [line["y"] for line in error["lines"]] == [[25]]


def test_so_many_heads_that_nobody_could_tell_them_apart_are_drawn_as_their_mean(make_run):
    many = {f"heads/decoder_self/1.{head}/first": head / 4000 for head in range(1, 4001)}
    (figure,) = head_figures(drawn_variants(compared([make_run("a", validations=[(0, many)])])))
    assert figure["lines"][0]["seeds"] == [] and figure["lines"][0]["y"] == [pytest.approx(0.50013)]


def test_numbers_that_json_or_an_axis_cannot_hold():
    assert padded([1.0, 3.0], 0.5) == [0.0, 4.0]
    for values in ([1.7120886998688722e308], [-1.7e308, 1.7e308], []):
        assert padded(values) is None
    assert shown(1.79765e308) == 1.79765e308 and shown(1.234567) == 1.2346
    assert shown(math.nan) is shown(math.inf) is shown(None) is None


# Quality against cost.


@pytest.fixture
def priced(make_run):
    """Compare one run for each (BLEU, parameters, tokens/s)."""

    def make(*figures):
        names = ("additive", "dot", "scaled", "causal")
        return compared(
            make_run(
                name, f"attention={name}", test={"bleu": bleu}, cost={"parameters": size, "tokens_per_second": speed}
            )
            for name, (bleu, size, speed) in zip(names, figures, strict=False)
        )

    return make


def test_the_front_holds_what_no_other_beats_in_both(priced):
    first = [[False, True, False], [False] * 3, [False] * 3]  # the first is better than the second
    none = [[False] * 3] * 3
    assert front(first, none) == front(none, first) == [0, 2]
    assert front(none, none) == []  # nothing but noise
    worse = [[False] * 3, [True, False, False], [False] * 3]  # and worse in the other
    assert front(first, worse) == []
    comparison = priced((30, 100, 5.0), (20, 100, 9.0), (32, 300, 5.0), (31, 300, 1.0))
    fronts = pareto_data(comparison, result_table(comparison))["fronts"]
    assert fronts["bleu|parameters"] == [0, 1]  # of one seed each only what is exact can differ
    assert fronts["bleu|tokens_per_second"] == []


def test_the_cost_that_differs_most_comes_first_and_ranges_hold_all_points(priced):
    comparison = priced((30, 100, 5.0), (20, 100, 9.0))
    data = pareto_data(comparison, result_table(comparison))
    assert data["costs"][0]["key"] == "tokens_per_second" and data["costs"][0]["better"] == "more"
    for axis in (*data["qualities"], *data["costs"]):
        values = [point["at"][axis["key"]]["value"] for point in data["points"]]
        assert axis["range"][0] < min(values) and max(values) < axis["range"][1]
    json.dumps(data, allow_nan=False)


def test_axes_that_a_run_lacks_and_single_models_have_no_chart(priced):
    comparison = priced((math.nan, 100, 5.0), (20, 100, 9.0))
    data = pareto_data(comparison, result_table(comparison))
    assert "bleu" not in [axis["key"] for axis in data["qualities"]]
    comparison = compared(comparison.variants[0].runs)
    assert pareto_data(comparison, result_table(comparison)) is None


# Maps.


def test_steps_are_chosen_evenly_with_both_ends():
    for count, most in ((0, 3), (1, 1), (3, 12), (20, 12), (1000, 2), (7, 1)):
        places = evenly(count, most)
        assert len(places) == min(count, most) and places == sorted(set(places))
        assert not count or (places[-1] == count - 1 and (most == 1 or places[0] == 0))


def probed(steps, probes=5, heads=1):
    return [(step, [sample_probe(n, heads, seed=n, text=f"sentence {n}") for n in range(probes)]) for step in steps]


def test_a_small_comparison_keeps_its_steps_and_four_sentences(make_run):
    viewer, _ = page_maps(compared([make_run("a", maps=probed([10, 20, 30]))]))
    steps = viewer["series"][0]["steps"]
    assert [step["step"] for step in steps] == [10, 20, 30] and [len(step["probes"]) for step in steps] == [4] * 3


def test_what_does_not_fit_is_left_out_evenly_and_said(make_run):
    comparison = compared([make_run("a", maps=probed(range(10, 410, 10))), make_run("s2", "seed=2")])
    viewer, note = page_maps(comparison)
    assert [step["step"] for step in viewer["series"][0]["steps"]][::11] == [10, 400]
    assert "first seed" in note and "12 of 40 validation steps" in note
    assert len(page_maps(comparison, 20_000)[0]["series"][0]["steps"]) < 12
    viewer, note = page_maps(comparison, 100)
    assert viewer["series"] == [] and "the maps of scaled are left out" in note


# Samples.


def test_samples_that_tell_variants_apart_come_first(make_run):
    runs = [make_run("a", answer="{}. März"), make_run("b", "attention=dot", answer="2. März")]
    found = samples(compared(runs))
    # Item 1 ("1. März" is the reference) is right once; item 0 never; on item 2 both agree.
    assert [[right for _, _, right in one.answers] for one in found] == [[True, False], [False, False], [False, False]]
    assert [len({text for _, text, _ in sample.answers}) for sample in found] == [2, 2, 1]
    assert found[0].given["reference"] == "1. März" and found[0].answers[1][1] == "2. März"
    (one,) = samples(compared([make_run("c", "task=language_model", answer="x")]))
    assert one.given == {"prompt": "Return <b>"} and one.answers[0][1] == "x"


def test_missing_answers_are_dashes_and_long_ones_are_cut(make_run):
    runs = [make_run("a", answer="word " * 10_000), make_run("b", "attention=dot", answers=[])]
    (_, first, _), (_, second, _) = samples(compared(runs))[0].answers
    assert len(first) == 401 and first.endswith("…") and second is None


# Records.


def test_only_what_differs_between_the_variants_is_listed(make_run):
    found = record(compared([make_run("a", "attention=additive"), make_run("b", "attention=dot", "seed=2")]))
    assert found["columns"] == ["additive", "dot"]
    assert found["differences"] == {key: ["additive", "dot"] for key in ("attention.name", "attention.score.name")}


def test_every_run_has_the_command_that_repeats_it(make_run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    commands = [run["command"] for run in record(compared([make_run("a b"), make_run("c", "seed=2")]))["runs"]]
    assert commands == ["attncompare reproduce 'runs/a b'", "attncompare reproduce runs/c"]


def test_texts_that_differ_beyond_the_cut_are_not_taken_for_the_reference(make_run):
    runs = [make_run("a", answers=["x"]), make_run("b", "attention=dot", answers=["y"])]
    for run, end in zip(runs, ("end", "other"), strict=True):
        row = {"id": 0, "reference": "word " * 100 + "end", "prediction": "word " * 100 + end}
        object.__setattr__(run, "predictions", lambda row=row: [row])
    (sample,) = samples(compared(runs))
    assert [right for _, _, right in sample.answers] == [True, False]
