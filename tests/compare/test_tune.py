import pytest

from attncompare.compare.gathering import gather
from attncompare.compare.groups import compare_groups
from attncompare.compare.options import Options
from attncompare.compare.table import result_table
from attncompare.errors import Refused

LR = Options(tune=("optimizer.lr",))


@pytest.fixture
def grid(make_run):
    """Write one run for each seed of ``{(variant, value): val loss}``; BLEU on test says which value a row has."""

    def write(losses, seeds=(1, 2), key="optimizer.lr", folder="sweep"):
        return [
            make_run(
                f"{folder}/{name}-{value}-{seed}",
                f"attention={name}",
                f"{key}={value}",
                f"seed={seed}",
                validations=[(100, {"val/loss": loss + seed / 100}), (200, {"val/loss": loss + 1})],
                test={"bleu": 1000 * value},
            )
            for (name, value), loss in losses.items()
            for seed in seeds
        ]

    return write


def tuned(runs, options=LR, **more):
    (comparison,) = compare_groups(runs, options=options, **more)
    return comparison


def refusal(runs, options=LR, **more):
    with pytest.raises(Refused) as error:
        tuned(runs, options, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


BOTH = {
    ("dot", 0.001): 3.0,
    ("dot", 0.003): 2.0,
    ("dot", 0.01): 2.5,
    ("scaled", 0.001): 1.5,
    ("scaled", 0.003): 1.0,
    ("scaled", 0.01): 0.5,
}


def test_each_variant_gets_its_best_value_on_val_and_is_shown_on_test(grid):
    comparison = tuned(grid(BOTH))
    assert [(variant.label, len(variant.runs)) for variant in comparison.variants] == [("dot", 2), ("scaled", 2)]
    assert [row.values["bleu"] for row in result_table(comparison).rows] == [3.0, 10.0]
    first, edge = comparison.notes[:2]
    assert first == (
        "optimizer.lr was picked for each variant by mean val loss over the same seeds: "
        "dot 0.003 (of 3, seeds 1, 2); scaled 0.01 (of 3, seeds 1, 2)"
    )
    assert edge.startswith("the best optimizer.lr of scaled is the largest that was tried")
    assert not any("not on equal footing" in note for note in comparison.notes)


def test_without_tuning_other_learning_rates_are_refused(grid):
    assert "optimizer.lr is" in refusal(grid({("dot", 0.001): 1.0, ("dot", 0.003): 1.0}), Options())


def test_several_keys_are_picked_together(grid):
    runs = [
        *grid({("dot", 0.001): 3.0, ("dot", 0.003): 2.0}),
        *grid({("dot", 0.5): 1.0, ("dot", 0.25): 4.0}, key="optimizer.weight_decay", folder="decay"),
    ]
    comparison = tuned(runs, Options(tune=("optimizer.lr", "optimizer.weight_decay")))
    assert "0.5 (of 4, seeds 1, 2)" in comparison.notes[0] and len(comparison.variants) == 1


def test_values_are_judged_over_the_same_seeds(grid):
    lucky = grid({("dot", 0.003): 0.1}, seeds=(7,))  # a seed that no other value has
    comparison = tuned([*lucky, *grid({("dot", 0.001): 1.0, ("dot", 0.003): 2.0})])
    assert "dot 0.001 (of 2, seeds 1, 2)" in comparison.notes[0]


def test_variants_that_were_tried_with_different_values_are_refused_unless_forced(grid):
    runs = grid({("dot", 0.001): 1.0, ("dot", 0.003): 2.0, ("scaled", 0.001): 1.0})
    message = refusal(runs)
    assert "dot with 0.001, 0.003; scaled with 0.001" in message and "--force" in message
    assert "scaled 0.001 (of 1, seeds 1, 2)" in tuned(runs, force=True).notes[0]


def test_a_value_of_which_a_run_failed_was_tried_but_is_never_the_best(grid, make_run, tmp_path):
    grid({("dot", 0.001): 1.0, ("scaled", 0.001): 1.0, ("scaled", 0.01): 0.5})
    grid({("dot", 0.01): 0.1}, seeds=(1,))
    make_run("sweep/lost", "attention=dot", "optimizer.lr=0.01", "seed=2", state="failed", message="the loss is nan")
    gathered = gather([tmp_path / "runs"])
    comparison = tuned(gathered.runs, left_out=gathered.left_out)
    assert "dot 0.001 (of 2, seeds 1, 2); scaled 0.01" in comparison.notes[0]


def test_where_every_value_failed_once_none_is_picked(grid, make_run, tmp_path):
    grid({("dot", 0.001): 1.0, ("dot", 0.01): 1.0}, seeds=(1,))
    for value in (0.001, 0.01):
        make_run(f"sweep/lost{value}", "attention=dot", f"optimizer.lr={value}", "seed=2", state="failed")
    gathered = gather([tmp_path / "runs"])
    assert "of each value of dot a run failed" in refusal(gathered.runs, left_out=gathered.left_out)


def test_values_without_a_common_seed_are_refused(grid):
    runs = [*grid({("dot", 0.001): 1.0}, seeds=(1,)), *grid({("dot", 0.003): 1.0}, seeds=(2,))]
    message = refusal(runs)
    assert "no seed in common: 0.001: seed 1; 0.003: seed 2" in message


def test_a_loss_that_is_no_number_is_never_the_best(grid):
    comparison = tuned(grid({("dot", 0.001): 1.0, ("dot", 0.003): float("nan")}))
    assert "dot 0.001" in comparison.notes[0]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("optimizer.lr", "every run has lr=0.003; train more values"),
        ("optimizer.lrr", "unknown key 'optimizer.lrr' (did you mean optimizer.lr?)"),
        ("seed", "it cannot be tuned; valid: "),
        ("attention.score", "it cannot be tuned"),
        ("data.tokenizer.kind", "it cannot be tuned"),
    ],
)
def test_keys_that_cannot_be_tuned_are_refused(grid, key, words):
    message = refusal(grid({("dot", 0.003): 1.0}), Options(tune=(key,)))
    assert message.startswith(f"--tune {key}: ") and words in message


def test_a_key_that_only_tells_variants_apart_is_no_choice(grid):
    message = refusal(grid({("dot", 0.001): 1.0, ("scaled", 0.003): 1.0}))
    assert "every variant was tried with one value alone" in message
