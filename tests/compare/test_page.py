"""The data of the page: headline, charts, maps, samples, records."""

import json
import math
from dataclasses import replace

import pytest
from sample_maps import sample_probe

from attncompare.compare import compare_groups, verdicts
from attncompare.compare.page.answer import cost_sentences, headline, numbers, pairs_by_metric
from attncompare.compare.page.charts import (
    curve_figures,
    cut,
    drawn_variants,
    front,
    length_data,
    mean_and_band,
    padded,
    pareto_data,
    shown,
    thin,
)
from attncompare.compare.page.maps import evenly, page_maps
from attncompare.compare.page.record import record
from attncompare.compare.page.samples import difference, samples
from attncompare.compare.table import result_table

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


def test_many_variants_are_counted_instead_of_named(scored):
    comparison, found = scored(dot=around(20), scaled=around(32, -1), additive=around(32))
    (dot, *rest) = comparison.variants
    many = [replace(rest[0], label=f"more {number}") for number in range(6)]
    told = headline(replace(comparison, variants=(dot, *rest, *many)), found)
    assert "1 of 9 are worse than another, 8 are worse than none" in told


@pytest.mark.parametrize("metric", ["bleu", "loss"])
def test_the_strip_shows_the_better_variant_to_the_right_of_no_difference(scored, metric):
    pairs = {one.metric.name: one for one in pairs_by_metric(scored(dot=around(30), scaled=around(32, -1))[1])}
    (line,) = pairs[metric].shown
    zero, mean, low, high = line.strip
    assert line.ahead.label == "scaled" and 0 <= zero < low < mean < high <= 100
    assert pairs[metric].decided == pairs[metric].total == 1


def test_figures_that_are_not_finite_have_no_strip_and_break_no_table(scored):
    _, found = scored(dot=[30, math.nan], scaled=[31, 32])
    assert pairs_by_metric(found)[0].shown[0].strip == ()
    assert all(cell for verdict in found for cell in numbers(verdict))


def test_costs_are_told_by_their_ends(make_run):
    costs = {"dot": {"tokens_per_second": 20_000.0}, "additive": {"tokens_per_second": 10_000.0, "train_seconds": 2.0}}
    table = result_table(compared(make_run(name, f"attention={name}", cost=cost) for name, cost in costs.items()))
    told = cost_sentences(table)
    assert "Parameters: 1.23 M for all" in told
    assert "Training tokens per second: 10.0 k (additive) to 20.0 k (dot), 100 % apart" in told


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


def test_two_seeds_have_no_band_and_one_its_line_alone(losses_of, make_run):
    line = losses_of([4, 3], [5, 3])
    assert line["half"] is None and len(line["seeds"]) == 2
    (line,) = curves(compared([make_run("a")]))["training loss"]["lines"]
    assert line["seeds"] == [] and line["y"] == [4, 3, 2]


def test_a_diverged_seed_breaks_neither_the_mean_nor_json(losses_of):
    steps, means, halves = mean_and_band([[(1, 2.0), (2, math.nan)], [(1, 4.0), (2, 1.0)], [(1, 3.0), (2, 1.0)]])
    assert (steps, means) == ([1], [3.0]) and len(halves) == 1
    losses_of([4, math.inf], [5, 3], [6, 3])


def test_a_repeated_color_has_another_dash_and_shares_are_drawn_in_percent(make_run):
    figures = curves(compared(make_run(f"h{heads}", f"attention.heads={heads}") for heads in range(1, 9)))
    lines = figures["training loss"]["lines"]
    assert len({line["color"] for line in lines}) == 7 and len({(line["color"], line["dash"]) for line in lines}) == 8
    assert list(figures)[:3] == ["training loss", "validation BLEU", "validation loss"]
    assert figures["validation exact match"]["lines"][0]["y"] == [25, 25, 25]


def test_long_curves_are_thinned_and_keep_both_ends():
    points = [(float(step), 0.0) for step in range(100_001)]
    few = thin(points)
    assert 300 < len(few) <= 601 and few[0] == points[0] and few[-1] == points[-1]
    assert thin(points[:50]) == points[:50] and len(thin(points, 40)) <= 41


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
    assert front([(30, -100), (20, -100), (32, -300), (31, -300)]) == [0, 2]  # cheapest first
    comparison = priced((30, 100, 5.0), (20, 100, 9.0), (32, 300, 5.0), (31, 300, 1.0))
    fronts = pareto_data(comparison, result_table(comparison))["fronts"]
    assert fronts["bleu|parameters"] == [0, 2] and fronts["bleu|tokens_per_second"] == [1, 2]


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


# Quality by length.


def test_buckets_hold_every_item_once_and_enough_each():
    lengths = dict(enumerate([1] * 40 + [2] * 10 + [3] * 30 + [4, 5, 6, 9] * 10 + [50]))
    found = cut(lengths)
    assert sorted(one for bucket in found.values() for one in bucket) == sorted(lengths)
    assert all(len(bucket) >= 25 for bucket in found.values()) and len(found) <= 6
    assert next(iter(found)) in ("1", "1–2") and list(found)[-1].endswith("–50")


@pytest.mark.parametrize("lengths", [{}, {0: 3}, dict.fromkeys(range(1000), 7), dict(enumerate(range(30)))])
def test_too_few_items_or_one_length_give_no_buckets(lengths):
    assert cut(lengths) is None


@pytest.fixture
def by_length(make_run):
    """Compare seeds with 60 short sources, all right, and 40 long ones, of which some are."""

    def make(*right_of_long):
        runs = []
        for seed, right in enumerate(right_of_long, 1):
            items = [
                {"id": n, "exact_match": [int(n < 60 + right), 1], "loss": [2.0 if n < 60 else 6.0, 2]}
                for n in range(100)
            ]
            run = make_run(f"{seed}", f"seed={seed}", items=items)
            rows = [{"id": n, "source": "one two" if n < 60 else "one two three", "prediction": ""} for n in range(100)]
            object.__setattr__(run, "predictions", lambda rows=rows: rows)
            runs.append(run)
        return length_data(compared(runs))

    return make


def test_figures_by_words_of_the_source_with_an_interval_over_items_for_one_seed(by_length):
    data = by_length(10)
    assert (data["unit"], data["labels"], data["counts"]) == ("words of the source", ["2", "3"], [60, 40])
    lines = {chart["key"]: chart["lines"][0] for chart in data["charts"]}
    assert lines["exact_match"]["mean"] == [100, 25] and lines["loss"]["mean"] == [1, 3]
    line = lines["exact_match"]
    assert line["low"][0] == line["high"][0] == 100  # every item is right, in each resample
    assert 8 < line["low"][1] < 25 < line["high"][1] < 42  # 25 % of 40 items, by the binomial
    json.dumps(data, allow_nan=False)


def test_several_seeds_have_an_interval_over_seeds(by_length):
    data = by_length(8, 10, 12)
    line = next(chart["lines"][0] for chart in data["charts"] if chart["key"] == "exact_match")
    assert line["mean"][1] == 25 and line["low"][1] == pytest.approx(25 - 4.3027 * 5 / 3**0.5, abs=0.01)
    assert "over seeds" in data["note"]


def test_language_models_go_by_the_length_of_the_document(make_run):
    def items(count):
        return [{"id": n, "loss": [10.0, 5], "bits_per_byte": [10.0, 10 if n < 50 else 20]} for n in range(count)]

    data = length_data(compared([make_run("a", "task=language_model", items=items(100))]))
    lines = {chart["key"]: chart["lines"][0]["mean"] for chart in data["charts"]}
    assert data["unit"] == "bytes of the text" and data["labels"] == ["10", "20"]
    assert lines["loss"] == [2, 2] and lines["bits_per_byte"] == pytest.approx([1.4427, 0.72135], rel=1e-4)
    other = [make_run(f"s{seed}", "task=language_model", f"seed={seed}", items=items(seed)) for seed in (80, 100)]
    assert length_data(compared(other)) is None  # not the same items


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


def marked(answer, reference):
    """Write what is added as {+x+} and what is missing as [-x-]."""
    marks = {"same": "{}", "added": "{{+{}+}}", "missing": "[-{}-]"}
    return "".join(marks[piece.kind].format(piece.text) for piece in difference(answer, reference))


@pytest.mark.parametrize(
    ("answer", "reference", "words"),
    [
        ("vor drei Tagen", "vor drei Tagen", "vor drei Tagen"),
        ("vor vier Tagen", "vor drei Tagen", "vor [-drei-]{+vier+} Tagen"),
        ("vor drei", "vor drei Tagen", "vor drei[- Tagen-]"),
        ("abxd", "abcd", "ab[-c-]{+x+}d"),  # one word: by characters
        ("x y z", "vor drei Tagen", "{+x y z+}"),  # little in common: not word by word
        ("", "vor drei", "[-vor drei-]"),
    ],
)
def test_the_difference_from_the_reference(answer, reference, words):
    assert marked(answer, reference) == words


@pytest.mark.parametrize("answer", ["", "a  b\tc", "«ö»  a\nb", "a b c d e f"])
@pytest.mark.parametrize("reference", ["", "a", "a  b\tc d", "ö"])
def test_the_pieces_hold_both_texts_whole(answer, reference):
    pieces = difference(answer, reference)
    assert "".join(piece.text for piece in pieces if piece.kind != "missing") == answer
    whole = "".join(piece.text for piece in pieces if piece.kind != "added")
    assert whole == reference or [piece.kind for piece in pieces] == ["added"]


def test_samples_that_tell_variants_apart_come_first(make_run):
    runs = [make_run("a", answer="{}. März"), make_run("b", "attention=dot", answer="2. März")]
    found = samples(compared(runs))
    # Item 1 ("1. März" is the reference) is right once; item 0 never; on item 2 both agree.
    rights = [[answer.right for answer in sample.answers] for sample in found]
    assert rights == [[True, False], [False, False], [False, False]]
    assert [len({answer.text for answer in sample.answers}) for sample in found] == [2, 2, 1]
    assert found[0].given["reference"] == "1. März" and found[0].answers[1].text == "2. März"
    (one,) = samples(compared([make_run("c", "task=language_model", answer="x")]))
    assert one.given == {"prompt": "Return <b>"} and one.answers[0].text == "x"


def test_missing_answers_are_dashes_and_long_ones_are_cut(make_run):
    runs = [make_run("a", answer="word " * 10_000), make_run("b", "attention=dot", answers=[])]
    first, second = samples(compared(runs))[0].answers
    assert len(first.text) == 401 and first.text.endswith("…") and second.text is None


def test_texts_that_differ_beyond_the_cut_are_not_taken_for_the_reference(make_run):
    runs = [make_run("a", answers=["x"]), make_run("b", "attention=dot", answers=["y"])]
    for run, end in zip(runs, ("end", "other"), strict=True):
        row = {"id": 0, "reference": "word " * 100 + "end", "prediction": "word " * 100 + end}
        object.__setattr__(run, "predictions", lambda row=row: [row])
    (sample,) = samples(compared(runs))
    assert [answer.right for answer in sample.answers] == [True, False]


# Records.


def test_only_what_differs_between_the_variants_is_listed(make_run):
    found = record(compared([make_run("a", "attention=additive"), make_run("b", "attention=dot", "seed=2")]))
    assert found.configs.columns == ("additive", "dot")
    assert dict(found.configs.rows) == dict.fromkeys(("attention.name", "attention.score.name"), ("additive", "dot"))
    assert found.environments.rows == () and len(found.environments.columns) == 1


def test_environments_are_told_by_what_differs(make_run):
    other = {"python": "3.12", "threads": 4, "diff": "a" * 5000 + "x"}
    runs = [
        make_run("a", "attention=additive", environment={"python": "3.11", "diff": "a" * 5000}),
        make_run("b", "attention=dot", environment=other),
        make_run("c", "attention=dot", "seed=3", environment=other),
    ]
    found = record(compared(runs))
    assert [run["environment"] for run in found.runs] == [1, 2, 2]
    rows = dict(found.environments.rows)
    assert (rows["python"], rows["threads"]) == (("3.11", "3.12"), ("–", "4"))
    assert len(set(rows["diff"])) == 2 and max(map(len, rows["diff"])) < 120  # long values that begin alike


def test_every_run_has_the_command_that_repeats_it(make_run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    commands = [run["command"] for run in record(compared([make_run("a b"), make_run("c", "seed=2")])).runs]
    assert commands == ["attncompare reproduce 'runs/a b'", "attncompare reproduce runs/c"]
