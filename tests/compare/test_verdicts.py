"""Which differences are called real, in words; what takes no part in a verdict, and what says so."""

import math
import re

import pytest

from attncompare.compare import Options, as_text, compare_groups, gather, verdicts
from attncompare.compare.data import as_data
from attncompare.compare.one_seed import ONE_SEED, one_seed_notes
from attncompare.compare.page.report import headline
from attncompare.compare.table import result_table
from attncompare.compare.verdicts import estimates, how_tested, in_order, leaders, p_value, verdict_notes
from attncompare.errors import Refused

NOISE = {1: 0.1, 2: -0.2, 3: 0.3, 4: 0.0, 5: 0.2, 6: -0.1, 7: 0.4, 8: -0.3}
BLEU = Options(metric="bleu")
LANGUAGE_MODEL = "task=language_model"


@pytest.fixture
def seeds_of(make_run):
    """Write runs of one variant: ``figures`` by seed, of ``metric``."""

    def write(name, figures, *overrides, metric="bleu", folder="sweep", **facts):
        return [
            make_run(
                f"{folder}/{name}-{seed}",
                *(f"attention={name}", f"seed={seed}", *overrides),
                test={metric: figure},
                **facts,
            )
            for seed, figure in figures.items()
        ]

    return write


def around(mean, seeds=range(1, 9), factor=1.0):
    return {seed: mean + factor * NOISE[(seed - 1) % 8 + 1] for seed in seeds}


def judged(runs, options=BLEU, **more):
    (comparison,) = compare_groups(runs, options=options, **more)
    return comparison, verdicts(comparison)


def swept(folder):
    gathered = gather([folder / "runs" / "sweep"])
    return judged(gathered.runs, left_out=gathered.left_out)


def test_numbers_of_heads_are_higher_and_never_better(seeds_of):
    entropy, six = {"metric": "cross_head_entropy"}, range(1, 7)
    runs = [*seeds_of("dot", around(1, six), **entropy), *seeds_of("additive", around(2.2, six, 1.5), **entropy)]
    comparison, (verdict,) = judged(runs, Options(**entropy))
    assert verdict.decided and verdict.better.label == "additive"
    assert verdict.sentence.startswith("additive is higher than dot in entropy in cross-attention by 1.23 nats [")
    assert headline(comparison, [verdict]).startswith("additive is higher than the other variant in entropy")
    assert leaders(comparison) == {}  # nothing is bold
    assert "entropy in cross-attention" in as_text([comparison]).lower()
    assert "cross_head_entropy" not in as_data(compare_groups(runs))["comparisons"][0]["tested_metrics"]
    with pytest.raises(Refused, match="cross_head_entropy"):
        compare_groups(runs, options=Options(metric="cross_head_entropie"))


def test_a_seed_with_other_heads_has_not_collapsed(seeds_of):
    runs = [*seeds_of("dot", around(3)), *seeds_of("additive", {**around(3), 4: -60.0})]
    for run, figure in zip(runs, [*around(3).values(), *{**around(3), 4: -60.0}.values()], strict=True):
        run.summary["test"]["cross_head_score"] = figure
    assert judged(runs)[0].collapsed == {"additive": (4,)}
    assert judged(runs, Options(metric="cross_head_score"))[0].collapsed == {}


def test_figures_that_are_the_same_in_every_seed_read_equal(seeds_of):
    six = range(1, 7)
    _, (verdict,) = judged([*seeds_of("dot", dict.fromkeys(six, 0.0)), *seeds_of("additive", dict.fromkeys(six, 0.0))])
    assert not verdict.decided
    assert "in BLEU (equal, 0.00 " in verdict.sentence and "ahead" not in verdict.sentence


def test_a_difference_in_every_seed_is_decided_and_said(seeds_of):
    six = range(1, 7)
    _, (verdict,) = judged([*seeds_of("dot", around(30, six)), *seeds_of("additive", around(31.2, six, 1.5))])
    assert verdict.decided and verdict.better.label == "additive"
    assert verdict.sentence.startswith("additive is better than dot by 1.23 BLEU [1.1")
    assert verdict.sentence.endswith("], 6 seeds, p = 0.031")


@pytest.mark.parametrize(
    ("metric", "worse", "better", "words"),
    [("loss", 1.1, 1.0, "by 0.10.* nats per token"), ("exact_match", 0.5, 0.6, "by 10.0 points of exact match")],
)
def test_each_metric_has_its_direction_and_its_unit(seeds_of, metric, worse, better, words):
    runs = [
        *seeds_of("dot", around(worse, factor=0.02), metric=metric),
        *seeds_of("scaled", around(better, factor=0.01), metric=metric),
    ]
    _, (verdict,) = judged(runs, Options(metric=metric))
    assert verdict.better.label == "scaled" and (verdict.difference.mean > 0) == (metric == "loss")
    assert re.match(f"scaled is better than dot {words}", verdict.sentence)


def test_what_is_not_decided_says_how_many_more_seeds_it_takes(seeds_of):
    first = {seed: 30.4 + 3 * NOISE[seed] for seed in range(1, 7)}
    second = {seed: 30 + NOISE[(seed + 2) % 8 + 1] for seed in range(1, 7)}
    _, (verdict,) = judged([*seeds_of("dot", first), *seeds_of("additive", second)])
    assert not verdict.decided and verdict.better is None
    assert verdict.sentence.startswith("dot and additive: not decided in BLEU (")
    low, high = verdict.difference.more_seeds
    assert 2 <= low < high and verdict.sentence.endswith(f": {low} to {high} more seeds needed")


def test_five_seeds_can_decide_nothing_however_large_the_difference(seeds_of):
    runs = [*seeds_of("dot", around(10, range(1, 6))), *seeds_of("additive", around(90, range(1, 6), -1))]
    _, (verdict,) = judged(runs)
    assert not verdict.decided and "p = 0.062" in verdict.sentence
    assert verdict.sentence.endswith("about 1 more seed needed")


def test_one_seed_decides_nothing(seeds_of):
    comparison, (verdict,) = judged([*seeds_of("dot", {1: 10.0}), *seeds_of("additive", {1: 90.0})])
    assert not verdict.decided and verdict.difference.p is None
    assert verdict.sentence == "dot and additive: 80.00 BLEU apart, from one seed, which decides nothing"
    assert one_seed_notes(comparison) == [ONE_SEED] and "apart" not in as_text([comparison])  # one note says it once


def test_seeds_that_are_not_paired_are_tested_without_pairs_and_said(seeds_of):
    comparison, (verdict,) = judged(
        [*seeds_of("dot", around(30, range(1, 5))), *seeds_of("additive", around(40, range(5, 9)))]
    )
    assert not verdict.difference.paired and "4 and 4 seeds, not paired" in verdict.sentence
    assert "the variants were trained from different seeds" in comparison.notes


def test_seeds_without_a_partner_are_named(seeds_of):
    many = {seed: 20 + seed % 3 for seed in range(1, 18)}
    runs = [*seeds_of("dot", {**many, 30: 20.0}), *seeds_of("additive", {**many, 31: 20.0, 32: 20.0})]
    comparison, (verdict,) = judged(runs)
    assert verdict.difference.paired and verdict.difference.n == 17
    assert verdict_notes(comparison)[0].startswith("seed 30 of dot is not used beside additive")
    assert verdict_notes(comparison)[1].startswith("seeds 31, 32 of additive are not used beside dot")


def test_a_model_under_two_names_from_other_seeds_is_never_better_than_itself(seeds_of):
    runs = [
        *seeds_of("scaled", around(30, range(1, 5))),
        *seeds_of("multihead", around(40, range(5, 9)), "attention.heads=1"),
    ]
    comparison, (verdict,) = judged(runs)
    assert [variant.same_as for variant in comparison.variants] == [None, None]
    assert verdict.same_model and not verdict.decided and verdict.difference.p <= 0.05  # chance does it once in twenty
    assert "told apart by chance" in verdict.sentence and "better" not in verdict.sentence
    assert how_tested(comparison, [verdict]).endswith("p: exact test over seeds, not corrected: a control.")


def test_a_control_weighs_on_no_other_pair_and_is_never_the_best(seeds_of):
    base = [*seeds_of("scaled", around(30, range(1, 7))), *seeds_of("dot", around(20, range(1, 7), 1.5))]
    twin = seeds_of("multihead", around(30, range(9, 15)), "attention.heads=1")
    _, (alone,) = judged(base)
    comparison, found = judged([*base, *twin])
    (control,) = [verdict for verdict in found if verdict.same_model]
    assert "not decided in BLEU" in control.sentence and control.difference.p_family is None
    (same,) = [verdict for verdict in found if {verdict.first.label, verdict.second.label} == {"scaled", "dot"}]
    assert same.decided and same.difference.p_family == alone.difference.p_family
    table = result_table(comparison)
    assert [row.variant.label for row in table.rows if table.is_best(row, "bleu")] == ["scaled"]


def test_the_one_with_more_seeds_stands_for_a_model_and_what_is_left_is_said(seeds_of):
    runs = [
        *seeds_of("scaled", {1: 30.0, 9: 31.0}),
        *seeds_of("multihead", {1: 30.0, 2: 31.0, 3: 29.0}, "attention.heads=1"),
    ]
    comparison, found = judged(runs)
    titles = [variant.title for variant in comparison.variants]
    assert titles == ["scaled = scaled name=multihead", "scaled name=multihead"] and found == []
    assert "scaled is the same model as scaled name=multihead, whose row leaves out its seeds 9" in comparison.notes


@pytest.mark.parametrize("reason", ["training loss is nan; the batch is kept", "gradient's norm is inf"])
def test_a_variant_with_a_diverged_seed_never_wins_by_its_other_seeds(make_run, seeds_of, tmp_path, reason):
    seeds_of("dot", around(20))
    seeds_of("scaled", around(25, factor=1.5))
    seeds_of("additive", around(90, [1, 2, 3, 4, 5, 6, 8]))
    make_run("sweep/lost", "attention=additive", "seed=7", state="failed", message=f"step 7: the {reason}")
    comparison, found = swept(tmp_path)
    by_pair = {frozenset((one.first.label, one.second.label)): one for one in found}
    assert by_pair[frozenset(("dot", "scaled"))].better.label == "scaled"
    for other in ("dot", "scaled"):
        verdict = by_pair[frozenset(("additive", other))]
        assert verdict.better is None and verdict.difference.ranks and verdict.difference.n == 8
        assert "not decided in BLEU (additive ahead by ranks, 8 seeds" in verdict.sentence
    note = verdict_notes(comparison)[0]
    assert note.startswith("seed 7 of additive diverged (1 of 8, with a rate between 0 and 53 %): its row is the mean")
    assert "By ranks" in how_tested(comparison, found)
    table = result_table(comparison)
    assert [row.variant.label for row in table.rows if table.is_best(row, "bleu")] == ["scaled"]


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        (("attention=additive", "seed=9"), "the loss is nanoscopic"),
        (("attention=multihead", "attention.heads=2", "seed=9"), "the loss is nan"),
    ],
)
def test_seeds_lost_for_another_reason_and_other_models_spoil_nothing(make_run, seeds_of, tmp_path, lost, reason):
    seeds_of("dot", around(20))
    seeds_of("additive", around(90))
    make_run("sweep/lost", *lost, state="failed", message=reason)
    _, (verdict,) = swept(tmp_path)
    assert verdict.decided


def test_a_collapsed_seed_is_told_apart_from_the_mean_of_the_others(seeds_of):
    runs = [*seeds_of("dot", around(30) | {4: 1.0}), *seeds_of("scaled", around(20)), *seeds_of("causal", around(10))]
    comparison, found = judged(runs)
    assert comparison.collapsed == {"dot": (4,)}
    assert estimates(comparison)["dot", "bleu"].mean == pytest.approx(30, abs=0.5)
    assert verdict_notes(comparison)[0].startswith("seed 4 of dot collapsed (1 of 8")
    by_pair = {frozenset((one.first.label, one.second.label)): one for one in found}
    assert [one.difference.ranks for one in found] == [True, True, False]
    assert by_pair[frozenset(("scaled", "causal"))].better.label == "scaled"
    assert by_pair[frozenset(("dot", "scaled"))].better is None  # seven of eight, and the eighth far behind
    table = result_table(comparison)
    assert [row.variant.label for row in table.rows if table.is_best(row, "bleu")] == ["scaled"]


def test_lopsided_noise_that_is_far_larger_is_said(seeds_of):
    wide = {seed: 20 + 4 * (seed == 3) + NOISE[seed] / 5 for seed in NOISE}
    quiet = [run for name in ("scaled", "causal") for run in seeds_of(name, around(25, factor=0.3))]
    comparison, _ = judged([*seeds_of("dot", {**wide, 3: 24.0, 5: 20.9, 6: 19.2}), *quiet])
    assert any("the seed noise of dot is lopsided" in note for note in verdict_notes(comparison))
    comparison, _ = judged([*seeds_of("additive", {seed: 20 + NOISE[9 - seed] for seed in NOISE}), *quiet])
    assert not any("is lopsided" in note for note in verdict_notes(comparison))


def test_a_margin_makes_no_difference_a_verdict(seeds_of):
    runs = [*seeds_of("dot", around(20)), *seeds_of("scaled", {seed: 20 + NOISE[9 - seed] for seed in NOISE})]
    _, (verdict,) = judged(runs, Options(metric="bleu", margins=(("bleu", 2.0),)))
    assert verdict.within_margin and not verdict.decided
    assert "no difference larger than 2 in BLEU" in verdict.sentence and "seeds needed" not in verdict.sentence
    _, (verdict,) = judged(runs, Options(metric="bleu", margins=(("bleu", 0.001),)))
    assert not verdict.within_margin and "not decided in BLEU" in verdict.sentence
    with pytest.raises(Refused, match="blue"):
        judged(runs, Options(margins=(("blue", 1.0),)))
    shares = [*seeds_of("causal", around(0.5, factor=0.001), metric="exact_match", folder="more")]
    shares += seeds_of("additive", around(0.5, factor=0.002), metric="exact_match", folder="more")
    _, (verdict,) = judged(shares, Options(metric="exact_match", margins=(("exact_match", 1.0),)))
    assert "no difference larger than 1 points in exact match" in verdict.sentence


def test_a_metric_that_was_chosen_after_training_is_exploratory(seeds_of):
    def notes(metric, *overrides):
        folder = f"{metric} {len(overrides)}"
        runs = [run for name in ("dot", "scaled") for run in seeds_of(name, around(20), *overrides, folder=folder)]
        found = verdict_notes(judged(runs, Options(metric=metric))[0])
        return [note for note in found if note.startswith("exploratory")]

    (note,) = notes("bleu")
    assert "compare.metric=bleu" in note
    assert notes("bleu", "compare.metric=bleu") == notes(None) == []
    assert notes("chrf", "compare.metric=bleu") != []


def test_seeds_may_vary_the_order_of_the_data_too(seeds_of):
    runs = [
        run
        for name, middle in (("dot", 20), ("scaled", 30))
        for seed, figure in around(middle, range(1, 7)).items()
        for run in seeds_of(name, {seed: figure}, f"order_seed={seed}", folder=str(seed))
    ]
    with pytest.raises(Refused, match="--vary seed,order_seed compares them"):
        judged(runs)
    varied = Options(metric="bleu", vary=("seed", "order_seed"))
    comparison, (verdict,) = judged(runs, varied)
    assert verdict.decided and verdict.difference.n == 6
    assert "the order of the data; the test set stays" in result_table(comparison).caption
    again = seeds_of("dot", {7: 20.0}, "order_seed=3", folder="again")
    with pytest.raises(Refused, match=r"order_seed 3 has seed 3 .* and 7"):
        judged([*runs, *again], varied)
    with pytest.raises(Refused, match="--vary backbone"):
        Options(vary=("backbone",))


@pytest.mark.parametrize(("seeds", "words"), [((1, 2, 3), "not decided"), ((2,), "not compared")])
def test_a_figure_that_is_nan_counts_as_the_worst_and_says_so(seeds_of, seeds, words):
    runs = [
        *seeds_of("dot", {seed: math.nan if seed == 2 else 1.0 for seed in seeds}, metric="loss"),
        *seeds_of("scaled", around(1.0, seeds), metric="loss"),
    ]
    comparison, (verdict,) = judged(runs, Options(metric="loss"))
    assert not verdict.decided and words in verdict.sentence
    assert "seed 2 of dot collapsed" in verdict_notes(comparison)[0]


def test_a_missing_figure_is_no_verdict_and_no_estimate_and_its_run_is_named(seeds_of):
    runs = [*seeds_of("dot", {1: 30.0, 2: None}), *seeds_of("scaled", {1: 30.0, 2: 31.0})]
    comparison, found = judged(runs)
    assert found == [] and ("dot", "bleu") not in estimates(comparison)
    assert verdict_notes(comparison)[0].startswith(f"BLEU is missing in {runs[1].path}")


def test_every_tested_metric_is_part_of_the_family_the_most_important_first(make_run):
    for task, expected in (
        ("translation", ["bleu", "loss", "chrf", "exact_match"]),
        ("language_model", ["loss", "token_accuracy"]),  # bits per byte are the loss again
    ):
        runs = [
            make_run(f"{task}-{name}{seed}", f"task={task}", f"attention={name}", f"seed={seed}")
            for name in ("dot", "additive")
            for seed in (1, 2)
        ]
        assert [verdict.metric.name for verdict in judged(runs, Options())[1]] == expected


def test_decided_verdicts_come_first_and_the_best_variant_first_of_all(seeds_of):
    runs = [
        *seeds_of("dot", around(10)),
        *seeds_of("scaled", around(30, factor=1.5)),
        *seeds_of("additive", {seed: 30 + 0.5 * NOISE[9 - seed] for seed in NOISE}),
        *seeds_of("causal", around(50, factor=-1)),
    ]
    ordered = in_order(judged(runs)[1])
    assert [verdict.decided for verdict in ordered] == [True] * 5 + [False]
    assert [verdict.better.label for verdict in ordered[:3]] == ["causal"] * 3
    assert {ordered[0].first.label, ordered[0].second.label} == {"causal", "dot"}


def test_the_smallest_p_that_so_few_seeds_can_reach_is_told(seeds_of):
    six = range(1, 7)
    runs = [
        *seeds_of("dot", around(20, six)),
        *seeds_of("scaled", around(30, six, 1.5)),
        *seeds_of("additive", around(90, range(11, 17))),
    ]
    comparison, found = judged(runs)
    told = how_tested(comparison, found)
    assert "all 3 comparisons" in told and "it cannot go below 0.062 for some pairs; 0.04 or less decides" in told
    assert all(verdict.decided for verdict in found)  # both blocks throughout, so that each has the whole level
    few = [*seeds_of("causal", around(20, range(1, 4))), *seeds_of("multihead", around(30, range(5, 8)))]
    assert "it cannot go below 0.1;" in how_tested(*judged(few))


def rows(name, sums):
    return [{"id": number, name: one} for number, one in enumerate(sums)]


def test_test_items_are_tested_where_all_records_hold_them(seeds_of):
    right, wrong = rows("exact_match", [[1, 1]] * 30), rows("exact_match", [[1, 1]] * 10 + [[0, 1]] * 20)
    options = Options(metric="exact_match")
    runs = [
        *seeds_of("dot", {1: 0.3, 2: 0.31}, metric="exact_match", items=wrong),
        *seeds_of("scaled", {1: 0.9, 2: 0.91}, metric="exact_match", items=right),
    ]
    comparison, (verdict,) = judged(runs, options)
    assert verdict.difference.items.items == 30 and verdict.difference.items.mean < 0
    both, seeds = verdict.difference.interval_items, verdict.difference.interval
    assert "test items" not in verdict.sentence and both.high - both.low > seeds.high - seeds.low
    lacking = seeds_of("additive", {1: 0.9, 2: 0.91}, metric="exact_match")
    comparison, (verdict,) = judged([*runs[:2], *lacking], options)
    assert verdict.difference.items is None and verdict.difference.interval is not None
    note = verdict_notes(comparison)[-1]
    assert str(lacking[0].path) in note and "items.jsonl" in note
    assert note in as_text([comparison]).replace("\n", " ")


def test_other_test_items_cost_only_the_test_over_items(seeds_of):
    runs = [
        *seeds_of("dot", {1: 0.3, 2: 0.31}, metric="exact_match", items=rows("exact_match", [[1, 1]] * 30)),
        *seeds_of("scaled", {1: 0.9, 2: 0.91}, metric="exact_match", items=rows("exact_match", [[1, 1]] * 31)),
    ]
    comparison, (verdict,) = judged(runs, Options(metric="exact_match"))
    assert verdict.difference.items is None and verdict.difference.p is not None
    assert "dot and scaled were tested on different items, so only over seeds" in verdict_notes(comparison)


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.03125, "p = 0.031"), (0.4, "p = 0.4"), (1.0, "p = 1"), (0.0002, "p < 0.001"), (0.0314, "p = 0.0314")],
)
def test_p_for_people(p, text):
    assert p_value(p, 0.0313) == text


def test_a_baseline_is_compared_with_all_others_and_the_family_is_these_pairs_alone(seeds_of):
    eight = range(1, 9)
    runs = [
        *seeds_of("dot", around(20, eight, 2.0)),
        *seeds_of("scaled", around(20.6, eight)),
        *seeds_of("additive", around(20.1, eight, -1)),
        *seeds_of("causal", around(30, eight, 0.5)),
    ]
    comparison, found = judged(runs, Options(metric="bleu", baseline="scaled"))
    assert all("scaled" in (one.first.label, one.second.label) for one in found) and len(found) == 3
    _, every = judged(runs)
    same = {frozenset((one.first.label, one.second.label)): one.difference for one in every}
    for one in found:
        other = same[frozenset((one.first.label, one.second.label))]
        assert one.difference.p == other.p and one.difference.p_holm <= other.p_holm
    assert sum(one.difference.p_holm < same[frozenset((one.first.label, one.second.label))].p_holm for one in found) > 0
    told = how_tested(comparison, found)
    assert "all 3 comparisons with scaled" in told
    (note,) = [one for one in verdict_notes(comparison) if one.startswith("exploratory") and "baseline" in one]
    assert note.endswith("compare.baseline=scaled")
    assert headline(comparison, found).startswith("Compared with scaled in BLEU, better: causal")
    data = as_data([comparison])["comparisons"][0]
    assert len(data["verdicts"]) == 3 and data["options"]["baseline"] == "scaled" and data["exploratory"]
    assert Options(baseline="dot window=16").suffix() == "-baseline-dot_window_16"
    with pytest.raises(Refused, match=r"--baseline: .*'nothing'.*valid: .*additive.*scaled"):
        judged(runs, Options(baseline="nothing"))


def test_a_baseline_that_was_named_before_training_is_not_exploratory(seeds_of):
    planned = ("compare.baseline=dot",)
    runs = [run for name in ("dot", "scaled", "additive") for run in seeds_of(name, around(20), *planned)]
    notes = {name: verdict_notes(judged(runs, Options(baseline=name))[0]) for name in ("dot", "scaled")}
    assert [name for name, said in notes.items() if any("exploratory" in one for one in said)] == ["scaled"]


def test_a_baseline_that_is_the_same_model_as_another_stands_for_it(seeds_of):
    runs = [
        run for name in ("causal", "scaled", "dot") for run in seeds_of(name, around(20), LANGUAGE_MODEL, metric="loss")
    ]
    comparison, (verdict,) = judged(runs, Options(metric="loss", baseline="causal"))
    assert comparison.baseline.label == "scaled" and {verdict.first.label, verdict.second.label} == {"scaled", "dot"}


def test_what_a_baseline_beats_is_not_among_the_best(seeds_of):
    """Nothing is tested against the best mean here but the baseline."""
    runs = [*seeds_of("dot", around(20)), *seeds_of("scaled", around(30)), *seeds_of("additive", {1: 31, 2: 5.0})]
    comparison, _ = judged(runs, Options(metric="bleu", baseline="scaled"))
    table = result_table(comparison)
    assert not any(row.variant.label == "dot" and table.is_best(row, "bleu") for row in table.rows)
