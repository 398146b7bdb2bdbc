"""Splits by fraction: every row once, equal rows together, and nothing but content and seed decides."""

from collections import Counter

import datasets
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from attncompare.data.corpora.fractions import with_fractions
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


SHARES = {"val": 0.2, "test": 0.1}


def pairs(rows):
    return Dataset.from_dict({"source": [s for s, _ in rows], "target": [t for _, t in rows]})


def rows_of(dataset):
    return list(zip(dataset["source"][:], dataset["target"][:], strict=True))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=40, max_size=120), st.integers(0, 9))
def test_every_row_goes_to_one_split_and_equal_rows_to_the_same(numbers, data_seed):
    rows = [(str(s), str(t)) for s, t in numbers]
    try:
        splits = with_fractions({"train": pairs(rows)}, SHARES, data_seed)
    except Refused:
        assert len(set(rows)) < 10
        return
    found = {split: rows_of(splits[split]) for split in SPLITS}
    assert sum(map(Counter, found.values()), Counter()) == Counter(rows)
    assert not any(set(found[one]) & set(found[two]) for one in SPLITS for two in SPLITS if one < two)
    order = [row for row in rows if row in set(found["train"])]
    assert found["train"] == order


def test_shares_are_met_and_follow_from_content_and_seed_alone():
    rows = [(f"a{i}", f"b{i}") for i in range(1000)]
    splits = with_fractions({"train": pairs(rows)}, SHARES, 1)
    assert [len(splits[split]) for split in SPLITS] == [700, 200, 100]
    backwards = with_fractions({"train": pairs(rows[::-1])}, SHARES, 1)
    assert {split: set(rows_of(splits[split])) for split in SPLITS} == {
        split: set(rows_of(backwards[split])) for split in SPLITS
    }
    assert set(rows_of(with_fractions({"train": pairs(rows)}, SHARES, 2)["val"])) != set(rows_of(splits["val"]))


def test_what_is_given_is_not_taken_from_train():
    given_val = pairs([("v", "w")])
    splits = with_fractions({"train": pairs([(str(i), "x") for i in range(10)]), "val": given_val}, SHARES, 1)
    assert rows_of(splits["val"]) == [("v", "w")]
    assert [len(splits["train"]), len(splits["test"])] == [9, 1]


def test_too_few_rows_are_refused():
    for rows in ([("a", "b")], [("a", "b")] * 50, [("a", "b"), ("c", "d")]):
        with pytest.raises(Refused, match=r"too few to take val, test from"):
            with_fractions({"train": pairs(rows)}, SHARES, 1)
