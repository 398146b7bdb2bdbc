import math

import pytest

from attncompare.compare.groups import ONE_SEED, compare_groups
from attncompare.compare.options import Options
from attncompare.compare.sentences import p_value
from attncompare.compare.terminal import as_text
from attncompare.compare.verdicts import estimates, in_order, verdict_notes, verdicts

NOISE = {1: 0.1, 2: -0.2, 3: 0.3, 4: 0.0, 5: 0.2, 6: -0.1, 7: 0.4, 8: -0.3}
ONLY_BLEU = Options(metric="bleu")


@pytest.fixture
def seeds_of(make_run):
    """Write runs of one variant: ``figures`` by seed, of ``metric``."""

    def write(name, figures, *overrides, metric="bleu", **facts):
        return [
            make_run(f"{name}-{seed}", f"attention={name}", f"seed={seed}", *overrides, test={metric: figure}, **facts)
            for seed, figure in figures.items()
        ]

    return write


def judged(runs, options=ONLY_BLEU):
    (comparison,) = compare_groups(runs, options=options)
    return comparison, verdicts(comparison)


def test_a_difference_in_every_seed_is_decided_and_said(seeds_of):
    steady = {seed: 30 + noise for seed, noise in list(NOISE.items())[:6]}
    ahead = {seed: 31.2 + 1.5 * noise for seed, noise in list(NOISE.items())[:6]}
    _, (verdict,) = judged([*seeds_of("dot", steady), *seeds_of("additive", ahead)])
    assert verdict.decided and verdict.better.label == "additive"
    assert verdict.sentence.startswith("additive is better than dot by 1.23 BLEU [1.1")
    assert verdict.sentence.endswith("], 6 seeds, p = 0.031")


def test_lower_is_better_where_it_is(seeds_of):
    low = {seed: 1.0 + noise / 100 for seed, noise in NOISE.items()}
    high = {seed: 1.1 + noise / 50 for seed, noise in NOISE.items()}
    runs = [*seeds_of("dot", high, metric="loss"), *seeds_of("scaled", low, metric="loss")]
    _, (verdict,) = judged(runs, Options(metric="loss"))
    assert verdict.better.label == "scaled" and verdict.difference.mean > 0
    assert verdict.sentence.startswith("scaled is better than dot by 0.10") and "nats per token" in verdict.sentence


def test_shares_are_told_in_points(seeds_of):
    few = {seed: 0.5 + noise / 100 for seed, noise in NOISE.items()}
    many = {seed: 0.6 + noise / 50 for seed, noise in NOISE.items()}
    runs = [*seeds_of("dot", few, metric="exact_match"), *seeds_of("scaled", many, metric="exact_match")]
    _, (verdict,) = judged(runs, Options(metric="exact_match"))
    assert verdict.sentence.startswith("scaled is better than dot by 10.1 points of exact match [")


def test_what_is_not_decided_says_how_many_more_seeds_it_takes(seeds_of):
    first = {seed: 30 + 0.4 + 3 * NOISE[seed] for seed in range(1, 7)}
    second = {seed: 30 + NOISE[(seed + 2) % 8 + 1] for seed in range(1, 7)}
    _, (verdict,) = judged([*seeds_of("dot", first), *seeds_of("additive", second)])
    assert not verdict.decided and verdict.better is None
    assert verdict.sentence.startswith("dot and additive: not decided in BLEU (")
    assert f": about {verdict.difference.more_seeds} more seeds needed" in verdict.sentence


def test_five_seeds_can_decide_nothing_however_large_the_difference(seeds_of):
    runs = [
        *seeds_of("dot", {seed: 10 + NOISE[seed] for seed in range(1, 6)}),
        *seeds_of("additive", {seed: 90 - NOISE[seed] for seed in range(1, 6)}),
    ]
    _, (verdict,) = judged(runs)
    assert not verdict.decided and "p = 0.062" in verdict.sentence
    assert verdict.sentence.endswith("about 1 more seed needed")


def test_one_seed_decides_nothing(seeds_of):
    comparison, (verdict,) = judged([*seeds_of("dot", {1: 10.0}), *seeds_of("additive", {1: 90.0})])
    assert not verdict.decided and verdict.difference.p is None
    assert verdict.sentence == "dot and additive: 80.00 BLEU apart, from one seed, which decides nothing"
    assert ONE_SEED in comparison.notes and "decides nothing" in as_text([comparison])
    assert "apart" not in as_text([comparison])  # one note says it once


def test_seeds_that_are_not_paired_are_tested_without_pairs_and_said(seeds_of):
    runs = [
        *seeds_of("dot", {seed: 30 + NOISE[seed] for seed in range(1, 5)}),
        *seeds_of("additive", {seed: 40 + NOISE[seed] for seed in range(5, 9)}),
    ]
    comparison, (verdict,) = judged(runs)
    assert not verdict.difference.paired and "4 and 4 seeds, not paired" in verdict.sentence
    assert "the variants were trained from different seeds" in comparison.notes


def test_a_model_under_two_names_from_other_seeds_is_never_better_than_itself(seeds_of):
    runs = [
        *seeds_of("scaled", {seed: 30 + NOISE[seed] for seed in range(1, 5)}),
        *seeds_of("multihead", {seed: 40 + NOISE[seed] for seed in range(5, 9)}, "attention.heads=1"),
    ]
    comparison, (verdict,) = judged(runs)
    assert [variant.same_as for variant in comparison.variants] == [None, None]
    assert verdict.same_model and not verdict.decided and verdict.better is None
    assert verdict.difference.p <= 0.05  # made so: chance does it once in twenty times
    assert verdict.sentence.startswith("scaled and multihead are the same model from different seeds: ")
    assert "better" not in verdict.sentence and "told apart by chance" in verdict.sentence


def test_a_control_that_chance_does_not_tell_apart_is_not_decided_and_weighs_on_no_other(seeds_of):
    base = [
        *seeds_of("scaled", {seed: 30 + NOISE[seed] for seed in range(1, 7)}),
        *seeds_of("dot", {seed: 20 + 1.5 * NOISE[seed] for seed in range(1, 7)}),
    ]
    twin = seeds_of("multihead", {seed: 30 + NOISE[seed - 10] for seed in range(11, 17)}, "attention.heads=1")
    _, (alone,) = judged(base)
    _, found = judged([*base, *twin])
    (control,) = [verdict for verdict in found if verdict.same_model]
    assert "not decided in BLEU" in control.sentence and control.difference.p_family is None
    (same,) = [verdict for verdict in found if {verdict.first.label, verdict.second.label} == {"scaled", "dot"}]
    assert same.decided and alone.decided


def test_the_same_runs_under_two_names_take_part_once(seeds_of):
    runs = [
        *seeds_of("scaled", {1: 30.0, 2: 31.0}),
        *seeds_of("multihead", {1: 30.0, 2: 31.0}, "attention.heads=1"),
        *seeds_of("dot", {1: 20.0, 2: 22.0}),
    ]
    comparison, found = judged(runs)
    assert [(verdict.first.label, verdict.second.label) for verdict in found] == [("scaled", "dot")]
    assert {label for label, key in estimates(comparison) if key == "bleu"} == {"scaled", "multihead", "dot"}


def test_the_one_with_more_seeds_stands_for_a_model_and_what_is_left_is_said(seeds_of):
    runs = [
        *seeds_of("scaled", {1: 30.0, 9: 31.0}),
        *seeds_of("multihead", {1: 30.0, 2: 31.0, 3: 29.0}, "attention.heads=1"),
    ]
    comparison, found = judged(runs)
    assert [variant.title for variant in comparison.variants] == ["scaled = multihead", "multihead"] and found == []
    assert "scaled is the same model as multihead, whose row leaves out its seeds 9" in comparison.notes


def test_a_diverged_run_is_not_tested_and_says_so(seeds_of):
    figures = {1: 1.0, 2: math.nan, 3: 1.1}
    steady = {seed: 1.0 + NOISE[seed] for seed in range(1, 4)}
    runs = [*seeds_of("dot", figures, metric="loss"), *seeds_of("scaled", steady, metric="loss")]
    _, (verdict,) = judged(runs, Options(metric="loss"))
    assert not verdict.decided and verdict.difference.p is None
    assert verdict.sentence == "dot and scaled: not tested in loss, the figure of seed 2 is nan"


def test_a_missing_figure_is_no_verdict_and_no_estimate(seeds_of):
    runs = [*seeds_of("dot", {1: 30.0, 2: None}), *seeds_of("scaled", {1: 30.0, 2: 31.0})]
    comparison, found = judged(runs)
    assert found == [] and ("dot", "bleu") not in estimates(comparison)


def test_every_tested_metric_is_part_of_the_family_the_most_important_first(make_run):
    runs = [make_run(f"{n}{seed}", f"attention={n}", f"seed={seed}") for n in ("dot", "additive") for seed in (1, 2)]
    _, found = judged(runs, Options())
    assert [verdict.metric.key for verdict in found] == ["bleu", "loss", "chrf", "exact_match"]
    runs = [
        make_run(f"lm-{n}{seed}", "task=language_model", f"attention={n}", f"seed={seed}")
        for n in ("dot", "additive")
        for seed in (1, 2)
    ]
    _, found = judged(runs, Options())
    assert [verdict.metric.key for verdict in found] == ["loss", "token_accuracy"]  # bits per byte are the loss again


def test_decided_verdicts_come_first_and_the_best_variant_first_of_all(seeds_of):
    runs = [
        *seeds_of("dot", {seed: 10 + NOISE[seed] for seed in NOISE}),
        *seeds_of("scaled", {seed: 30 + 1.5 * NOISE[seed] for seed in NOISE}),
        *seeds_of("additive", {seed: 30 + 0.5 * NOISE[9 - seed] for seed in NOISE}),
        *seeds_of("causal", {seed: 50 - NOISE[seed] for seed in NOISE}),
    ]
    ordered = in_order(judged(runs)[1])
    assert [verdict.decided for verdict in ordered] == [True] * 5 + [False]
    assert [verdict.better.label for verdict in ordered[:3]] == ["causal"] * 3
    assert ordered[0].second.label == "causal" and ordered[0].first.label == "dot"


def test_sentences_are_tested_where_predictions_are_there(seeds_of):
    right, wrong = ["1. März"] * 30, ["1. März"] * 10 + ["Montag"] * 20
    runs = [
        *seeds_of("dot", {1: 30.0, 2: 31.0}, answers=wrong),
        *seeds_of("scaled", {1: 60.0, 2: 61.0}, answers=right),
    ]
    comparison, (verdict,) = judged(runs, Options(metric="exact_match"))
    assert verdict.difference.sentences.units == 30 and verdict.difference.sentences.mean < 0
    assert "; over 30 sentences, p" in verdict.sentence and verdict_notes(comparison) == ()


def test_missing_predictions_are_said_and_cost_only_the_test_over_sentences(seeds_of):
    runs = [
        *seeds_of("dot", {1: 30.0, 2: 31.0}, answers=["x"] * 30),
        *seeds_of("scaled", {1: 60.0}, answers=["y"] * 30),
        *seeds_of("scaled", {2: 62.0}, answers=[]),
    ]
    comparison, (verdict,) = judged(runs)
    assert verdict.difference.sentences is None and verdict.difference.interval is not None
    (note,) = verdict_notes(comparison)
    assert (
        str(runs[3].path) in note and "predictions.jsonl" in note and note in as_text([comparison]).replace("\n", " ")
    )


def test_documents_of_language_models_are_tested(make_run):
    def losses(nats):
        return [{"id": i, "nats": nats * (1 + i % 3 / 10), "tokens": 10, "bytes": 30} for i in range(40)]

    runs = [
        make_run(f"{name}{seed}", "task=language_model", f"attention={name}", f"seed={seed}", losses=losses(nats))
        for name, nats in (("dot", 40.0), ("scaled", 30.0))
        for seed in (1, 2)
    ]
    _, found = judged(runs, Options())
    assert found[0].difference.sentences.unit == "document" and found[0].difference.sentences.units == 40


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.03125, "p = 0.031"), (0.4, "p = 0.4"), (1.0, "p = 1"), (0.0002, "p < 0.001"), (0.0503, "p = 0.0503")],
)
def test_p_for_people(p, text):
    assert p_value(p) == text
