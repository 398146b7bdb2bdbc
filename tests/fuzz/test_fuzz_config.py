"""Every valid combination of settings trains; every other is refused in one line."""

import math

import pytest
from cases import cases
from config_space import chosen, up_to, valid_settings
from hypothesis import strategies as st

from attncompare.config import parse
from attncompare.errors import Refused
from attncompare.maps import maps_of
from attncompare.record import Run
from attncompare.training.run import train


@pytest.fixture
def trained(tmp_path):
    """Train with some settings into a new folder, and return the record as another process would open it."""
    return lambda settings, **changes: Run.open(
        train(parse(settings.values(**changes, runs=str(tmp_path / "runs")))).path
    )


@cases(quick=15, long=300, shrink=False, settings=valid_settings(("reverse", "recall")))
def test_every_valid_config_trains_two_steps_and_leaves_a_whole_record(trained, settings):
    run = trained(settings)
    values = settings.values(runs=run.config.runs)
    assert run.require_finished().config == parse(values)
    rows, summary = run.metrics(), run.summary
    assert summary["steps"] == 2 and summary["best_step"] in (1, 2)
    numbers = [*summary["val"].values(), *summary["test"].values(), *(cell for row in rows for cell in row.values())]
    assert all(map(math.isfinite, numbers)), [row for row in rows if not all(map(math.isfinite, row.values()))]
    every = values["trainer"]["validate_every"]
    assert [row["step"] for row in rows if "val/loss" in row] == sorted({*range(every, 3, every), 2})
    assert [row["step"] for row in rows if "train/loss" in row][-1] <= 2
    assert run.environment()["threads"] == 1 and isinstance(run.predictions(), list)
    assert all(len(probes) == values["tracking"]["probes"] for _, probes in maps_of(run))


# Settings of which one does not know beforehand whether data and sizes go together.
odd_sizes = st.fixed_dictionaries(
    {
        "data.train_size": up_to(30),
        "data.val_size": up_to(3),
        "data.test_size": up_to(3),
        "data.batch_size": up_to(40),
        "data.batch_tokens": st.none(),
        "data.tokenizer.kind": chosen("word", "character", "bpe", "unigram"),
        "data.tokenizer.bytes": chosen(None, True, False),
        "data.tokenizer.vocab_size": st.none() | up_to(300),
        "data.tokenizer.min_count": chosen(1, 1, 2, 40),
        "task.max_length": up_to(30, 2),
        "tracking.probes": up_to(2, 0),
    }
)
odd_reverse = {"data.symbols": up_to(5, 2), "data.min_symbols": up_to(5), "data.max_symbols": up_to(12, 4)}
odd_recall = {"data.symbols": up_to(9, 4), "data.pairs": up_to(3), "data.length": up_to(14, 8)}
odd_settings = st.sampled_from((("reverse", odd_reverse), ("recall", odd_recall))).flatmap(
    lambda corpus: st.tuples(valid_settings((corpus[0],)), odd_sizes, st.fixed_dictionaries(corpus[1]))
)


@cases(quick=20, long=400, shrink=False, drawn=odd_settings)
def test_odd_sizes_train_or_are_refused_in_one_line(trained, drawn):
    settings, sizes, corpus = drawn
    try:
        run = trained(settings, **sizes, **corpus)
    except Refused as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert run.require_finished().summary["steps"] == 2
        assert all(math.isfinite(value) for value in run.summary["test"].values())
