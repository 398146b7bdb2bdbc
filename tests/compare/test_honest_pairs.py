"""What takes no part in a verdict, and what says so: diverged seeds, seeds without a partner, controls."""

import math
import re

import pytest

from attncompare.compare.gathering import gather
from attncompare.compare.groups import compare_groups
from attncompare.compare.options import Options
from attncompare.compare.table import result_table
from attncompare.compare.terminal import as_text
from attncompare.compare.verdicts import how_tested, verdict_notes, verdicts

NOISE = {1: 0.1, 2: -0.2, 3: 0.3, 4: 0.0, 5: 0.2, 6: -0.1, 7: 0.4, 8: -0.3}
BLEU = Options(metric="bleu")


@pytest.fixture
def seeds_of(make_run):
    def write(name, seeds, mean, *overrides, metric="bleu", **facts):
        """Write runs of ``seeds``, and what else is given of them, around ``mean``."""
        return [
            make_run(
                f"sweep/{name}-{seed}",
                f"attention={name}",
                f"seed={seed}",
                *overrides,
                test={metric: mean + NOISE[(seed - 1) % 8 + 1] * (1 + mean / 100)},
                **facts,
            )
            for seed in seeds
        ]

    return write


def judged(runs, left_out=(), options=BLEU):
    (comparison,) = compare_groups(runs, options=options, left_out=left_out)
    return comparison, verdicts(comparison)


@pytest.mark.parametrize(
    "reason",
    [
        "step 7: the training loss is nan; the batch is kept",
        "step 7: the gradient's norm is inf",
        "step 7: the validation loss is -inf",
    ],
)
def test_a_variant_with_a_diverged_seed_never_wins_by_the_others(make_run, seeds_of, tmp_path, reason):
    seeds_of("dot", range(1, 9), 20)
    seeds_of("scaled", range(1, 9), 25)
    seeds_of("additive", [seed for seed in range(1, 9) if seed != 7], 90)
    make_run("sweep/lost", "attention=additive", "seed=7", state="failed", message=reason)
    gathered = gather([tmp_path / "runs" / "sweep"])
    comparison, found = judged(gathered.runs, gathered.left_out)
    by_pair = {frozenset((one.first.label, one.second.label)): one for one in found}
    assert by_pair[frozenset(("dot", "scaled"))].better.label == "scaled"
    for other in ("dot", "scaled"):
        verdict = by_pair[frozenset(("additive", other))]
        assert not verdict.decided and verdict.better is None and verdict.difference.p is None
        assert verdict.sentence.endswith("not tested in BLEU, seed 7 of additive diverged")
    (note,) = [note for note in verdict_notes(comparison) if "diverged" in note]
    assert note == "seed 7 of additive diverged: the row is the mean of the others, and its pairs are not tested"
    table = result_table(comparison)
    (best,) = [row.variant.label for row in table.rows if table.is_best(row, table.columns[0])]
    assert best == "scaled"
    (row,) = [row for row in table.rows if row.diverged]
    assert row.values["bleu"] > 80


@pytest.mark.parametrize("reason", ["out of memory", "interrupted at step 7", "the loss is nanoscopic"])
def test_a_seed_that_was_lost_for_another_reason_spoils_nothing(make_run, seeds_of, tmp_path, reason):
    seeds_of("dot", range(1, 9), 20)
    seeds_of("additive", range(1, 8), 90)
    make_run("sweep/lost", "attention=additive", "seed=8", state="failed", message=reason)
    gathered = gather([tmp_path / "runs" / "sweep"])
    _, (verdict,) = judged(gathered.runs, gathered.left_out)
    assert verdict.decided


def test_a_diverged_seed_of_another_model_spoils_nothing(make_run, seeds_of, tmp_path):
    seeds_of("dot", range(1, 9), 20)
    seeds_of("multihead", range(1, 9), 90)
    words = ("attention=multihead", "attention.heads=2", "seed=9")
    make_run("sweep/lost", *words, state="failed", message="the loss is nan")
    gathered = gather([tmp_path / "runs" / "sweep"])
    _, (verdict,) = judged(gathered.runs, gathered.left_out)
    assert verdict.decided


def test_seeds_without_a_partner_are_named(seeds_of):
    comparison, (verdict,) = judged([*seeds_of("dot", range(1, 7), 20), *seeds_of("additive", range(1, 9), 30)])
    assert verdict.difference.paired and verdict.difference.n == 6
    (note,) = verdict_notes(comparison)[:1]
    assert note == "seeds 7, 8 of additive are not used beside dot: no run there has the same seed"


def test_two_common_seeds_do_not_discard_all_others(seeds_of):
    comparison, (verdict,) = judged([*seeds_of("dot", range(1, 7), 20), *seeds_of("additive", range(5, 11), 30)])
    assert not verdict.difference.paired and verdict.decided and "6 and 6 seeds, not paired" in verdict.sentence
    assert not any("not used" in note for note in verdict_notes(comparison))


def test_a_control_alone_has_no_correction_and_no_best_row(seeds_of):
    runs = [*seeds_of("scaled", range(1, 7), 30), *seeds_of("multihead", range(11, 17), 40, "attention.heads=1")]
    comparison, found = judged(runs)
    assert how_tested(found).endswith("p: exact test over seeds, not corrected: a control.")
    table = result_table(comparison)
    assert not any(table.is_best(row, table.columns[0]) for row in table.rows)
    assert "all 0 comparisons" not in as_text([comparison])


def test_a_control_is_never_the_best(seeds_of):
    runs = [
        *seeds_of("scaled", range(1, 7), 30),
        *seeds_of("dot", range(1, 7), 20),
        *seeds_of("multihead", range(11, 17), 40, "attention.heads=1"),
    ]
    table = result_table(judged(runs)[0])
    assert [row.variant.label for row in table.rows if table.is_best(row, table.columns[0])] == ["scaled"]


def least(text):
    return float(re.search(r"cannot go below ([\d.]+)", text)[1].rstrip("."))


def test_the_smallest_p_of_a_mixed_family_is_told_with_its_blocks(seeds_of):
    runs = [
        *seeds_of("dot", range(1, 7), 20),
        *seeds_of("scaled", range(1, 7), 30),
        *seeds_of("additive", range(11, 17), 90),
    ]
    _, found = judged(runs)
    told = how_tested(found)
    assert "because 2 pairs share no seeds" in told and "3 comparisons" in told
    family = [verdict.difference for verdict in found]
    assert told.endswith("it cannot go below 0.094 for pairs with common seeds.")
    paired = [one for one in family if one.paired]
    assert [one.p_family == pytest.approx(3 * one.smallest_p) for one in paired] == [True]


def test_the_smallest_p_of_unpaired_families_is_told_too(seeds_of):
    _, found = judged([*seeds_of("dot", range(1, 4), 20), *seeds_of("scaled", range(5, 8), 30)])
    assert least(how_tested(found)) == pytest.approx(2 / 20)
    runs = [
        *seeds_of("causal", range(1, 4), 20),
        *seeds_of("additive", range(5, 8), 30),
        *seeds_of("multihead", range(11, 14), 40),
    ]
    _, found = judged(runs)
    assert least(how_tested(found)) == pytest.approx(3 * 2 / 20)
    assert "because 3 pairs share no seeds" in how_tested(found)


def test_a_figure_of_one_seed_that_is_no_number_is_not_called_infinitely_apart(make_run):
    runs = [make_run("a", test={"loss": math.nan}), make_run("b", "attention=dot")]
    _, (verdict,) = judged(runs, options=Options(metric="loss"))
    assert verdict.sentence == "scaled and dot: not compared in loss: the figure of seed 1 is nan"


def test_a_figure_that_a_run_lacks_is_said_with_the_run(make_run):
    runs = [make_run("a", test={"bleu": None}), make_run("b", "attention=dot")]
    comparison, found = judged(runs)
    assert found == []
    (note,) = verdict_notes(comparison)[:1]
    assert note == f"BLEU is missing in {runs[0].path}: such variants are not tested in it"
