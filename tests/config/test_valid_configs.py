"""Every valid combination of settings trains; every other is refused in one line."""

import math

import pytest
from cases import cases
from config_space import valid_settings
from hypothesis import strategies as st

from attncompare.config import parse
from attncompare.errors import Refused
from attncompare.record import Run
from attncompare.training.run import train


@pytest.fixture
def trained(tmp_path):
    """Train with some settings into a new folder, and return the record as another process would open it."""

    def make(settings, **changes):
        return Run.open(train(parse(settings.values(**changes, runs=str(tmp_path / "runs")))).path)

    return make


def check_record(run, settings):
    """The record is whole, reads, and says what was trained."""
    values = settings.values(runs=run.config.runs)
    assert run.require_finished().config == parse(values)
    rows, summary = run.metrics(), run.summary
    assert summary["steps"] == 2 and summary["best_step"] in (1, 2)
    numbers = [*summary["val"].values(), *summary["test"].values(), *(cell for row in rows for cell in row.values())]
    assert all(map(math.isfinite, numbers)), [row for row in rows if not all(map(math.isfinite, row.values()))]
    every = values["trainer"]["validate_every"]
    assert [row["step"] for row in rows if "val/loss" in row] == sorted({*range(every, 3, every), 2})
    assert [row["step"] for row in rows if "train/loss" in row][-1] <= 2
    assert run.environment()["threads"] == values["trainer"]["threads"]
    assert len(run.items()) == values["data"]["test_size"] or values["trainer"]["limit_batches"]


@cases(quick=3, long=300, shrink=False, settings=valid_settings(("reverse", "recall")))
def test_every_valid_config_trains_two_steps(trained, settings):
    check_record(trained(settings), settings)


@cases(quick=0, long=10, shrink=False, settings=valid_settings(("pydocs", "locale")))
def test_every_valid_config_of_a_larger_corpus_trains_two_steps(trained, settings):
    assert trained(settings).require_finished().summary["steps"] == 2


# Settings of which one does not know beforehand whether data and sizes go together.
odd_sizes = st.fixed_dictionaries(
    {
        "data.train_size": st.integers(1, 30),
        "data.val_size": st.integers(1, 3),
        "data.test_size": st.integers(1, 3),
        "data.batch_size": st.integers(1, 40),
        "data.batch_tokens": st.none(),
        "data.tokenizer.kind": st.sampled_from(("word", "character", "bpe", "unigram")),
        "data.tokenizer.bytes": st.sampled_from((None, True, False)),
        "data.tokenizer.vocab_size": st.none() | st.integers(1, 300),
        "data.tokenizer.min_count": st.sampled_from((1, 1, 2, 40)),
        "task.max_length": st.integers(2, 30),
        "tracking.probes": st.integers(0, 2),
    }
)
odd_reverse = {
    "data.symbols": st.integers(2, 5),
    "data.min_symbols": st.integers(1, 5),
    "data.max_symbols": st.integers(4, 12),
}
odd_recall = {"data.symbols": st.integers(4, 9), "data.pairs": st.integers(1, 3), "data.length": st.integers(8, 14)}
odd_settings = st.sampled_from((("reverse", odd_reverse), ("recall", odd_recall))).flatmap(
    lambda corpus: st.tuples(valid_settings((corpus[0],)), odd_sizes, st.fixed_dictionaries(corpus[1]))
)


@cases(quick=12, long=400, shrink=False, drawn=odd_settings)
def test_odd_sizes_train_or_are_refused_in_one_line(trained, drawn):
    settings, sizes, corpus = drawn
    try:
        run = trained(settings, **sizes, **corpus)
    except Refused as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert run.require_finished().summary["steps"] == 2
        assert all(math.isfinite(value) for value in run.summary["test"].values())
