"""--tune and --equal: which runs of each variant are compared."""

import math

import pytest

from attncompare.compare import Options, compare_groups, gather, verdicts
from attncompare.compare.page import report_page
from attncompare.compare.page.charts import tuning_figures
from attncompare.compare.table import result_table
from attncompare.errors import Refused

LR = Options(tune=("optimizer.lr",))
PARAMETERS, FLOPS, TIME = (Options(equal=what) for what in ("parameters", "flops", "time"))


def compared(runs, options, **more):
    (comparison,) = compare_groups(runs, options=options, **more)
    return comparison


def refusal(runs, options, **more):
    with pytest.raises(Refused) as error:
        compared(runs, options, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def grid(make_run):
    """Write one run for each seed of ``{(variant, value): val loss}``; BLEU on test says which value a row has."""

    def write(losses, seeds=(1, 2), key="optimizer.lr", folder="sweep"):
        return [
            make_run(
                f"{folder}/{name}-{value}-{seed}",
                *(f"attention={name}", f"{key}={value}", f"seed={seed}"),
                validations=[(100, {"val/loss": loss + seed / 100}), (200, {"val/loss": loss + 1})],
                test={"bleu": 1000 * value},
            )
            for (name, value), loss in losses.items()
            for seed in seeds
        ]

    return write


def test_each_variant_gets_its_best_value_on_val_and_is_shown_on_test(grid):
    losses = {("dot", 0.001): 3.0, ("dot", 0.003): 2.0, ("dot", 0.01): 2.5}
    losses |= {("scaled", 0.001): 1.5, ("scaled", 0.003): 1.0, ("scaled", 0.01): 0.5}
    runs = grid(losses)
    comparison = compared(runs, LR)
    assert [(variant.label, len(variant.runs)) for variant in comparison.variants] == [("dot", 2), ("scaled", 2)]
    assert [row.values["bleu"] for row in result_table(comparison).rows] == [3.0, 10.0]
    first, edge = comparison.notes[:2]
    assert "dot 0.003 (of 3, seeds 1, 2); scaled 0.01 (of 3, seeds 1, 2)" in first
    assert edge.startswith("the best optimizer.lr of scaled is the largest that was tried")
    labels = [variant.label for variant in compared(runs, Options()).variants]
    assert labels == [f"{name} lr={value}" for name in ("dot", "scaled") for value in (0.001, 0.003, 0.01)]


def test_values_are_picked_by_the_monitored_metric_in_its_own_direction(make_run):
    runs = [
        make_run(
            f"sweep/{name}-{lr}",
            *(f"attention={name}", f"optimizer.lr={lr}", "trainer.monitor=bleu"),
            validations=[(100, {"val/loss": loss, "val/bleu": bleu})],
        )
        for name in ("dot", "scaled")
        for lr, loss, bleu in ((0.001, 1.0, 10.0), (0.003, 2.0, 30.0))
    ]
    comparison = compared(runs, LR)
    assert "by mean val BLEU" in comparison.notes[0] and "dot 0.003" in comparison.notes[0]
    (figure,) = tuning_figures(comparison)
    assert "BLEU" in figure["title"]
    for line in figure["lines"]:
        assert line["y"] == [20.0, 25.0]  # of two draws with replacement, three of four hold the better one
    assert "cannot be tuned" in refusal(runs[::2], Options(tune=("trainer.monitor",)))


def test_values_are_judged_over_the_same_seeds_and_nan_is_never_the_best(grid):
    lucky = grid({("dot", 0.003): 0.1}, seeds=(7,))  # a seed that no other value has
    losses = {("dot", 0.001): 1.0, ("dot", 0.003): 2.0, ("dot", 0.01): math.nan}
    assert "dot 0.001 (of 3, seeds 1, 2)" in compared([*lucky, *grid(losses)], LR).notes[0]


def test_variants_that_were_tried_with_different_values_are_refused_unless_forced(grid):
    runs = grid({("dot", 0.001): 1.0, ("dot", 0.003): 2.0, ("scaled", 0.001): 1.0})
    message = refusal(runs, LR)
    assert "dot with 0.001, 0.003; scaled with 0.001" in message and "--force" in message
    assert "scaled 0.001 (of 1, seeds 1, 2)" in compared(runs, LR, force=True).notes[0]


def test_a_value_of_which_a_run_failed_was_tried_but_is_never_the_best(grid, make_run, tmp_path):
    grid({("dot", 0.001): 1.0, ("scaled", 0.001): 1.0, ("scaled", 0.01): 0.5})
    grid({("dot", 0.01): 0.1}, seeds=(1,))
    make_run("sweep/lost", "attention=dot", "optimizer.lr=0.01", "seed=2", state="failed", message="the loss is nan")
    gathered = gather([tmp_path / "runs"])
    notes = compared(gathered.runs, LR, left_out=gathered.left_out).notes
    assert "dot 0.001 (of 2, seeds 1, 2); scaled 0.01" in notes[0]
    make_run("sweep/lost2", "attention=dot", "optimizer.lr=0.001", "seed=3", state="failed")
    gathered = gather([tmp_path / "runs"])
    assert "of each value of dot a run failed" in refusal(gathered.runs, LR, left_out=gathered.left_out)


def test_values_without_a_common_seed_are_refused(grid):
    runs = [*grid({("dot", 0.001): 1.0}, seeds=(1,)), *grid({("dot", 0.003): 1.0}, seeds=(2,))]
    assert "no seed in common: 0.001: seed 1; 0.003: seed 2" in refusal(runs, LR)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("optimizer.lr", "every run has lr=0.003; train more values"),
        ("optimizer.lrr", "did you mean optimizer.lr?"),
        ("seed", "it cannot be tuned; valid: "),
        ("attention.score.name", "it cannot be tuned"),
        ("data.tokenizer.kind", "it cannot be tuned"),
    ],
)
def test_keys_that_cannot_be_tuned_are_refused(grid, key, words):
    message = refusal(grid({("dot", 0.003): 1.0}), Options(tune=(key,)))
    assert message.startswith(f"--tune {key}: ") and words in message


def test_values_picked_on_val_cannot_be_judged_on_val():
    with pytest.raises(Refused, match="--tune with --equal time"):
        Options(tune=("optimizer.lr",), equal="time")


@pytest.fixture
def sized(make_run):
    """Write runs of ``{(variant, width): parameters}``."""

    def write(sizes, seeds=(1, 2)):
        return [
            make_run(
                f"{name}-{width}-{seed}",
                *(f"attention={name}", f"backbone.d_model={width}", f"seed={seed}"),
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


def test_sizes_of_equal_count_are_not_mixed(make_run):
    runs = [
        make_run(f"{name}{layers}", f"attention={name}", f"backbone.layers={layers}")
        for name in ("dot", "scaled")
        for layers in (1, 2)
    ]
    comparison = compared(runs, PARAMETERS)  # every made run has the same count
    assert [(variant.label, len(variant.runs)) for variant in comparison.variants] == [("dot", 1), ("scaled", 1)]


def test_variants_that_are_nowhere_equal_are_refused(sized, make_run):
    message = refusal(sized({("dot", 64): 2000, ("dot", 32): 1000, ("additive", 64): 2100}), PARAMETERS)
    assert "dot 1.00 k parameters or 2.00 k parameters" in message and "backbone.d_model" in message
    runs = [make_run("a", "backbone.d_model=32"), make_run("b", "attention=dot", "trainer.max_steps=5")]
    assert "trainer.max_steps" in refusal(runs, PARAMETERS)  # other differences are still refused


def spent(step, seconds=1.0):
    return {"train/tokens": step * 10, "train/seconds": step * seconds}


@pytest.fixture
def timed(make_run):
    """Write runs that are validated every 100 of 300 steps: ``seconds`` and ``flops`` say what a step and token cost."""

    def write(name, seconds, flops=1.0, seeds=(1, 2), **facts):
        rows = [
            (step, {"val/loss": 5 - step / 100, "val/bleu": step / 10, **spent(step, seconds)})
            for step in (100, 200, 300)
        ]
        cost = {"train_flops_per_token": flops, "train_seconds": 12.0}
        options = {"validations": rows, "cost": cost, "test": {"bleu": 99.0}, **facts}
        return [make_run(f"{name}-{seed}", f"attention={name}", f"seed={seed}", **options) for seed in seeds]

    return write


def test_at_equal_time_the_slow_one_is_shown_at_its_end_and_the_fast_one_before(timed):
    comparison = compared([*timed("additive", 3.0), *timed("dot", 1.0), *timed("scaled", 1.6)], TIME)
    table = result_table(comparison)
    rows = {row.variant.label: row.values["bleu"] for row in table.rows}
    assert rows == {"additive": 10.0, "dot": 30.0, "scaled": 10.0}  # 300 s: one step of validation, all, one
    assert table.title == "Translation, at equal training time" and "train_seconds" not in table.columns
    assert table.caption.startswith("Val set of data=locale, each run after 300 s of training, ")
    assert any("figures of val, not of test" in note and "steps 100 to 300" in note for note in comparison.notes)
    assert all(verdict.difference.items is None for verdict in verdicts(comparison))


def test_at_equal_flops_tokens_are_weighed_by_what_they_cost(timed):
    comparison = compared([*timed("additive", 3.0, flops=3e9), *timed("dot", 1.0, flops=2e9)], FLOPS)
    rows = {row.variant.label: row.values["bleu"] for row in result_table(comparison).rows}
    assert rows == {"additive": 20.0, "dot": 30.0}  # dot has spent 6 T at its end, additive at step 200
    assert "6.00 T training FLOPs" in result_table(comparison).caption


def test_at_an_equal_budget_nothing_from_the_end_passes_for_it(timed):
    rows = [{"id": n, "bleu": [1.0] * 10} for n in range(60)]
    runs = [*timed("dot", 1.0, items=rows), *timed("scaled", 1.0, items=rows)]
    comparison = compared(runs, TIME)
    page = report_page([comparison])
    assert page.count("From the whole runs, not after 300 s of training as the table above.") == 2
    assert "From the whole runs" not in report_page([compared(runs, Options())])


def test_a_run_whose_first_validation_lies_beyond_the_budget_is_refused(timed):
    message = refusal([*timed("additive", 10.0), *timed("dot", 1.0)], TIME)
    assert "was first validated at step 100, beyond the budget" in message and "trainer.validate_every" in message


def test_records_that_do_not_tell_their_cost_are_refused(make_run, timed):
    runs = [make_run("a"), make_run("b", "attention=dot")]
    for options, column in ((TIME, "train/seconds"), (FLOPS, "train/tokens")):
        message = refusal(runs, options)
        assert message.startswith(f"--equal {options.equal}: ") and f"no {column} in metrics.csv" in message
    lacking = timed("causal", 1.0, flops=None)
    message = refusal([*timed("scaled", 1.0), *lacking], FLOPS)
    assert "cost.train_flops_per_token" in message and str(lacking[0].path) in message


def test_several_keys_are_picked_together(grid):
    runs = [
        *grid({("dot", 0.001): 3.0, ("dot", 0.003): 2.0}),
        *grid({("dot", 0.5): 1.0, ("dot", 0.25): 4.0}, key="optimizer.weight_decay", folder="decay"),
    ]
    comparison = compared(runs, Options(tune=("optimizer.lr", "optimizer.weight_decay")))
    assert "0.5 (of 4, seeds 1, 2)" in comparison.notes[0] and len(comparison.variants) == 1


def test_other_data_is_tuned_apart(make_run):
    runs = [
        make_run(f"{lr}{data[0]}", f"optimizer.lr={lr}", fingerprint=data)
        for lr in (0.1, 0.2)
        for data in ("f" * 64, "0" * 64)
    ]
    labels = [variant.label for variant in compared(runs, LR, force=True).variants]
    assert labels == ["scaled data=ffffffff", "scaled data=00000000"]


def test_the_largest_of_several_common_sizes_is_taken_and_a_variant_without_it_named(sized):
    sizes = {(name, width): 30 * width for name in ("dot", "scaled") for width in (32, 64)} | {("additive", 64): 2100}
    comparison = compared(sized(sizes), PARAMETERS)
    assert {variant.runs[0].config.backbone.d_model for variant in comparison.variants} == {64}
    assert [variant.label for variant in comparison.variants] == ["dot", "scaled"]
    assert "additive with 2.10 k parameters" in comparison.notes[0]


def test_runs_of_other_lengths_may_be_compared_at_equal_budgets_only(timed, make_run):
    rows = [(step, {"val/loss": 1.0, "val/bleu": 7.0, **spent(step)}) for step in (100, 200)]
    longer = make_run("longer", "attention=dot", "trainer.max_steps=200", validations=rows)
    assert compared([longer, *timed("additive", 1.0)], TIME).budget.size == 200
    assert "trainer.max_steps" in refusal([longer, *timed("scaled", 1.0)], Options())
