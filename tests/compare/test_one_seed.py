import numpy as np
import pytest

from attncompare.compare import as_text, compare_groups
from attncompare.compare.one_seed import ONE_SEED, grubbs, one_seed_notes

FIGURES = {"additive": 82.0, "causal": 87.0, "multihead": 85.0, "scaled": 84.0}


def comparison_of(make_run, figures, **facts):
    runs = [
        make_run(name, f"attention={name}", test={"bleu": bleu}, **{key: of[name] for key, of in facts.items()})
        for name, bleu in figures.items()
    ]
    (comparison,) = compare_groups(runs)
    return comparison


def test_a_model_far_from_all_others_is_named_before_it_is_said_that_one_seed_decides_nothing(make_run):
    comparison = comparison_of(make_run, {**FIGURES, "dot": 12.0})
    shown, last = one_seed_notes(comparison)
    assert "dot is 70.00 BLEU or more from all others" in shown and "far larger" in shown and last == ONE_SEED
    text = " ".join(as_text([comparison]).split())
    assert text.index("one seed shows") < text.index("one seed decides nothing")


@pytest.mark.parametrize("figures", [{**FIGURES, "dot": 80.0}, dict.fromkeys(("dot", "scaled", "additive"), 0.0)])
def test_ordinary_and_equal_figures_show_nothing(make_run, figures):
    assert one_seed_notes(comparison_of(make_run, figures)) == [ONE_SEED]


def test_four_figures_of_which_three_are_equal_tell_nothing_of_noise(make_run):
    assert one_seed_notes(comparison_of(make_run, {**dict.fromkeys(FIGURES, 50.0), "dot": 12.0})) == [ONE_SEED]


@pytest.mark.parametrize("apart", [True, False])
def test_a_lead_is_shown_where_another_draw_of_test_items_would_not_turn_it(make_run, apart):
    right = {"dot": [i % 5 == 0 for i in range(200)], "scaled": [i % 5 == 1 or i < 10 or apart for i in range(200)]}
    runs = [
        make_run(
            name,
            *(f"attention={name}", "data=reverse", "task.metrics=[exact_match,loss]"),
            test={"exact_match": float(np.mean(own))},
            items=[{"id": i, "exact_match": [int(one), 1]} for i, one in enumerate(own)],
        )
        for name, own in right.items()
    ]
    (comparison,) = compare_groups(runs)
    shown, _ = one_seed_notes(comparison)
    assert ("no lead in exact match" in shown) != apart and "200 items" in shown


def test_several_seeds_have_no_such_note(make_run):
    runs = [
        make_run(f"{name}{seed}", f"attention={name}", f"seed={seed}") for name in ("dot", "scaled") for seed in (1, 2)
    ]
    (comparison,) = compare_groups(runs)
    assert one_seed_notes(comparison) == []


@pytest.mark.parametrize("n", [4, 5, 9])
def test_grubbs_finds_an_outlier_in_pure_noise_in_at_most_one_of_twenty(n):
    """The critical values of Grubbs' table at 5 %, two-sided, give a p of 0.05."""
    rng = np.random.default_rng(7)
    errors = np.mean([grubbs(rng.normal(size=n))[1] <= 0.05 for _ in range(4000)])
    assert 0.035 < errors < 0.06
    place, p = grubbs(np.array([*rng.normal(size=n - 1), 1000.0]))
    assert place == n - 1 and p < 0.001
