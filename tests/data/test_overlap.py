"""How much of val and test stands in train, against counting with Python's own sets."""

from hypothesis import given
from hypothesis import strategies as st

from attncompare.data import corpus as corpus_module
from attncompare.data.corpus import corpus
from attncompare.data.overlap import overlap

words = st.sampled_from(["", "a", "b", "ab", "ä"])
rows = st.lists(st.tuples(words, words), min_size=1, max_size=12)


@given(rows, rows, rows)
def test_pairs_sources_and_targets_are_counted(train, val, test):
    splits = {"train": train, "val": val, "test": test}
    columns = {
        split: {"source": [s for s, _ in pairs], "target": [t for _, t in pairs]} for split, pairs in splits.items()
    }
    assert overlap(corpus(columns)) == {
        split: {
            "in_train": sum(pair in set(train) for pair in splits[split]),
            "source_in_train": sum(s in {s for s, _ in train} for s, _ in splits[split]),
            "target_in_train": sum(t in {t for _, t in train} for _, t in splits[split]),
        }
        for split in ("val", "test")
    }


def test_documents_are_counted_in_batches_of_any_size(monkeypatch):
    monkeypatch.setattr(corpus_module, "_BATCH_BYTES", 1)
    texts = {"train": ["a", "b", "c", "a"], "val": ["c", "d", "c"], "test": ["e"]}
    found = overlap(corpus({split: {"text": rows} for split, rows in texts.items()}))
    assert found == {"val": {"in_train": 2}, "test": {"in_train": 0}}


def test_the_two_sides_are_not_mixed_up():
    sides = {"train": ("a", "b"), "val": ("b", "a"), "test": ("a", "b")}
    found = overlap(corpus({split: {"source": [s], "target": [t]} for split, (s, t) in sides.items()}))
    assert found["val"] == {"in_train": 0, "source_in_train": 0, "target_in_train": 0}
    assert found["test"] == {"in_train": 1, "source_in_train": 1, "target_in_train": 1}
