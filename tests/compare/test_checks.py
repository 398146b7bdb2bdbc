import pytest

from attncompare.compare.checks import differences
from attncompare.compare.groups import compare_groups
from attncompare.errors import Refused


def refusal(runs, **options):
    with pytest.raises(Refused) as error:
        compare_groups(runs, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_runs_that_differ_in_variant_and_seed_may_be_compared(make_run):
    runs = [
        make_run("a", "attention=additive", "seed=1"),
        make_run("b", "attention=multihead", "attention.heads=3", "attention.dropout=0.1", "seed=2"),
        make_run("c", "attention=dot", "name=named", "tags=[x]", "notes=note", "tracking=disabled", "runs=elsewhere"),
    ]
    assert differences(runs) == {}
    assert len(compare_groups(runs)) == 1


def test_other_differences_are_refused_by_key_and_value_unless_forced(make_run):
    runs = [make_run("a"), make_run("b", "attention=dot", "optimizer.lr=0.5", "backbone.layers=3")]
    message = refusal(runs)
    assert "optimizer.lr is" in message and "0.5" in message and "backbone.layers is" in message
    assert str(runs[0].path) in message and "--force" in message and "attention.score" not in message
    (comparison,) = compare_groups(runs, force=True)
    assert sum("not on equal footing" in note for note in comparison.notes) == 2


def test_other_data_under_the_same_config_is_refused(make_run):
    runs = [make_run("a"), make_run("b", "attention=dot", fingerprint="0" * 64)]
    assert "the data's fingerprint is ffffffff" in refusal(runs)


@pytest.mark.parametrize("state", ["running", "failed", "interrupted"])
def test_a_run_that_has_not_finished_is_refused_with_its_state(make_run, state):
    runs = [make_run("a"), make_run("b", "attention=dot", state=state, message="the loss is nan")]
    message = refusal(runs, force=True)
    assert str(runs[1].path) in message and state in message and "the loss is nan" in message
    more = refusal([*runs, make_run("c", "attention=additive", state=state)])
    assert "2 of 3 runs" in more and state in more


def test_tasks_are_compared_apart(make_run):
    runs = [make_run("a", "task=language_model"), make_run("b"), make_run("c", "task=language_model", "attention=dot")]
    comparisons = compare_groups(runs)
    assert [(c.task, len(c.variants)) for c in comparisons] == [("translation", 1), ("language_model", 2)]
