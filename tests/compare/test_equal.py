import pytest

from attncompare.compare.groups import compare_groups
from attncompare.compare.options import Options
from attncompare.compare.table import result_table
from attncompare.compare.verdicts import verdicts
from attncompare.errors import Refused

PARAMETERS, FLOPS, TIME = (Options(equal=what) for what in ("parameters", "flops", "time"))


def compared(runs, options):
    (comparison,) = compare_groups(runs, options=options)
    return comparison


def refusal(runs, options):
    with pytest.raises(Refused) as error:
        compared(runs, options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def sized(make_run):
    """Write runs of ``{(variant, width): parameters}``."""

    def write(sizes, seeds=(1, 2)):
        return [
            make_run(
                f"{name}-{width}-{seed}",
                f"attention={name}",
                f"backbone.d_model={width}",
                f"seed={seed}",
                cost={"parameters": parameters},
            )
            for (name, width), parameters in sizes.items()
            for seed in seeds
        ]

    return write


def test_of_each_variant_the_size_is_taken_at_which_all_are_equal(sized):
    sizes = {("dot", 32): 1000, ("dot", 64): 2000, ("additive", 32): 1500, ("additive", 48): 2010, ("causal", 64): 2035}
    comparison = compared(sized(sizes), PARAMETERS)
    found = {variant.label: variant.runs[0].config.backbone.d_model for variant in comparison.variants}
    assert found == {"dot": 64, "additive": 48, "causal": 64}
    note = comparison.notes[0]
    assert note.startswith("compared at equal parameters: 2.01 k parameters, within 2% of each other; left out: ")
    assert "dot with 1.00 k parameters" in note and "additive with 1.50 k parameters" in note
    assert result_table(comparison).title == "Translation, at equal parameters"


def test_a_variant_without_a_size_near_the_others_is_left_out_and_named(sized):
    comparison = compared(sized({("dot", 64): 2000, ("scaled", 64): 2000, ("additive", 64): 2100}), PARAMETERS)
    assert [variant.label for variant in comparison.variants] == ["dot", "scaled"]
    assert "left out: additive with 2.10 k parameters" in comparison.notes[0]


def test_the_largest_of_several_common_sizes_is_taken(sized):
    sizes = {(name, width): 30 * width for name in ("dot", "scaled") for width in (32, 64)}
    comparison = compared(sized(sizes), PARAMETERS)
    assert {variant.runs[0].config.backbone.d_model for variant in comparison.variants} == {64}


def test_sizes_of_equal_count_are_not_mixed(make_run):
    runs = [
        make_run(f"{name}{layers}", f"attention={name}", f"backbone.layers={layers}")
        for name in ("dot", "scaled")
        for layers in (1, 2)
    ]
    comparison = compared(runs, PARAMETERS)  # every made run has the same count
    assert [variant.label for variant in comparison.variants] == ["dot", "scaled"]
    assert [len(variant.runs) for variant in comparison.variants] == [1, 1]


def test_variants_that_are_nowhere_equal_are_refused(sized):
    message = refusal(sized({("dot", 64): 2000, ("dot", 32): 1000, ("additive", 64): 2100}), PARAMETERS)
    assert "no two variants" in message and "dot 1.00 k parameters or 2.00 k parameters" in message
    assert "backbone.d_model" in message


def test_other_differences_are_still_refused(make_run):
    runs = [make_run("a", "backbone.d_model=32"), make_run("b", "attention=dot", "optimizer.lr=0.5")]
    message = refusal(runs, PARAMETERS)
    assert "optimizer.lr" in message and "d_model" not in message


@pytest.fixture
def timed(make_run):
    """Write runs that are validated every 100 of 300 steps: ``seconds`` and ``flops`` say what a step and token cost."""

    def write(name, seconds, flops=1.0, seeds=(1, 2), **facts):
        rows = [
            (step, {"val/loss": 5 - step / 100, "val/bleu": step / 10, **_spent(step, seconds)})
            for step in (100, 200, 300)
        ]
        return [
            make_run(
                f"{name}-{seed}",
                f"attention={name}",
                f"seed={seed}",
                validations=rows,
                cost={"train_flops_per_token": flops},
                test={"bleu": 99.0},
                **facts,
            )
            for seed in seeds
        ]

    return write


def _spent(step, seconds):
    return {"train/tokens": step * 10, "train/seconds": step * seconds}


def test_at_equal_time_the_slow_one_is_shown_at_its_end_and_the_fast_one_before(timed):
    comparison = compared([*timed("additive", 3.0), *timed("dot", 1.0), *timed("scaled", 1.6)], TIME)
    rows = {row.variant.label: row.values["bleu"] for row in result_table(comparison).rows}
    assert rows == {"additive": 10.0, "dot": 30.0, "scaled": 10.0}  # 300 s: one step of validation, all, one
    assert result_table(comparison).title == "Translation, at equal training time"
    caption = result_table(comparison).caption
    assert caption.startswith("Val set of data=locale, each run after 300 s of training, ")
    assert any("figures of val, not of test" in note and "steps 100 to 300" in note for note in comparison.notes)
    assert all(verdict.difference.sentences is None for verdict in verdicts(comparison))


def test_at_equal_flops_tokens_are_weighed_by_what_they_cost(timed):
    comparison = compared([*timed("additive", 3.0, flops=3e9), *timed("dot", 1.0, flops=2e9)], FLOPS)
    rows = {row.variant.label: row.values["bleu"] for row in result_table(comparison).rows}
    assert rows == {"additive": 20.0, "dot": 30.0}  # dot has spent 6 T at its end, additive at step 200
    assert "6.00 T training FLOPs" in result_table(comparison).caption


def test_the_same_cost_at_every_step_compares_the_ends(timed):
    comparison = compared([*timed("additive", 1.1), *timed("dot", 1.1)], TIME)
    assert {row.values["bleu"] for row in result_table(comparison).rows} == {30.0}


def test_runs_of_other_lengths_may_be_compared_at_equal_budgets_only(timed, make_run):
    rows = [(step, {"val/loss": 1.0, "val/bleu": 7.0, **_spent(step, 1.0)}) for step in (100, 200)]
    longer = make_run("longer", "attention=dot", "trainer.max_steps=200", validations=rows)
    comparison = compared([longer, *timed("additive", 1.0)], TIME)
    assert comparison.budget.size == 200
    assert "trainer.max_steps" in refusal([longer, *timed("scaled", 1.0)], Options())


def test_a_run_whose_first_validation_lies_beyond_the_budget_is_refused(timed):
    message = refusal([*timed("additive", 10.0), *timed("dot", 1.0)], TIME)
    assert "was first validated at step 100, beyond the budget" in message and "trainer.validate_every" in message


def test_records_that_do_not_tell_their_cost_are_refused(make_run):
    runs = [make_run("a"), make_run("b", "attention=dot")]
    for options, column in ((TIME, "train/seconds"), (FLOPS, "train/tokens")):
        message = refusal(runs, options)
        assert message.startswith(f"--equal {options.equal}: ") and f"no {column} in metrics.csv" in message
