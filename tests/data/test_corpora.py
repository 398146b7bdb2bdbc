"""Generated corpora, splits by fraction, the fingerprint, and what val and test share with train."""

import ast
import hashlib
import re
import subprocess
import sys
from collections import Counter

import pytest
from dataset_configs import dataset
from datasets import Dataset, DatasetDict, concatenate_datasets
from hypothesis import given, settings
from hypothesis import strategies as st

from attncompare.data import corpus as corpus_module
from attncompare.data.corpora import docsum
from attncompare.data.corpora.pydocs import docstrings
from attncompare.data.corpus import Corpus, corpus, fingerprint, overlap, tables, with_fractions
from attncompare.data.dataset import COLUMNS, SPLITS
from attncompare.errors import Refused
from attncompare.registry import load, names

SIZES = {"train_size": 200, "val_size": 30, "test_size": 30}
GENERATED = {"reverse": SIZES, "recall": {**SIZES, "length": 40}}
REVERSE = dataset("reverse", **SIZES)
RECALL = dataset("recall", **GENERATED["recall"])


@pytest.mark.parametrize("name", GENERATED)
def test_generated_corpora_are_functions_of_the_seed(name):
    loaded = [dataset(name, seed, **GENERATED[name]).load() for seed in (1, 1, 2)]
    first, again, other = map(fingerprint, loaded)
    assert first == again != other
    assert [loaded[0].splits[split].num_rows for split in SPLITS] == [200, 30, 30]
    assert all(not files for files in loaded[0].splits.cache_files.values())


def test_reverse_reverses_and_aligns():
    loaded = REVERSE.load()
    for row in loaded.splits["train"]:
        assert row["target"] == row["source"][::-1]
        assert 4 <= len(row["source"]) <= 12
        source = {field: row["source"][start:end] for start, end, field in row["source_spans"]}
        target = {field: row["target"][start:end] for start, end, field in row["target_spans"]}
        assert source == target
        assert len(source) == len(row["source"])
    sources = [text for split in SPLITS for text in loaded.splits[split]["source"]]
    assert len(set(sources)) == len(sources)


def test_reverse_refuses_more_strings_than_there_are():
    with pytest.raises(Refused, match="data=reverse cannot give 260 different pairs"):
        dataset("reverse", **SIZES, symbols=2, max_symbols=4).load()


def test_recall_asks_for_what_it_told_at_any_place():
    places = set()
    for row in RECALL.load().splits["train"]:
        symbols = row["text"].split()
        assert len(symbols) == 40
        told = dict(zip(symbols[0:8:2], symbols[1:8:2], strict=True))
        assert len(told) == 4
        asked = {}
        for start, end in row["scored"]:
            before = row["text"][:start].split()
            assert len(before) > 8
            asked[before[-1]] = row["text"][start:end]
        assert asked == told
        assert symbols.count(".") == 40 - 16
        places.add(row["text"][: row["scored"][0][0]].count(" "))
    assert min(places) <= 12 and max(places) >= 24


def test_pydocs_is_what_ast_reads_in_splits_that_share_none_and_have_their_size():
    pydocs = dataset("pydocs").load()
    texts = [text for split in SPLITS for text in pydocs.splits[split]["text"]]
    for module in (ast, random_module := sys.modules["random"]):
        assert module.__doc__ is None or ast.get_docstring(ast.parse(f"'''{module.__doc__}'''")) in texts
    assert random_module.shuffle.__doc__.strip() in texts
    assert pydocs.stream
    assert len(set(texts)) == len(texts)
    sizes = {split: sum(len(text.encode()) for text in pydocs.splits[split]["text"]) for split in SPLITS}
    assert sizes["test"] / sum(sizes.values()) == pytest.approx(0.05, abs=0.001)
    assert sizes["val"] / sum(sizes.values()) == pytest.approx(0.05, abs=0.001)


def test_docstrings_come_from_source_alone(tmp_path):
    (tmp_path / "ast.py").write_text(
        '"""Module."""\nraise SystemExit("imported!")\ndef f():\n    """Same.\n\n      More."""\n'
    )
    (tmp_path / "json" / "tests").mkdir(parents=True)
    (tmp_path / "json" / "__init__.py").write_text(
        'class C:\n    """Same.\n\n      More."""\n    async def g(self):\n        "New."\n'
    )
    (tmp_path / "json" / "tests" / "test_x.py").write_text('"""A test."""')
    (tmp_path / "not_of_the_library.py").write_text('"""Other."""')
    assert docstrings(tmp_path) == {"ast": ["Module.", "Same.\n\nMore."], "json": ["New."]}


SUMMED = {
    "code": {
        "ast": [("def f(x=1):\nif x:\nreturn x", "First line."), ("async def g(self):\nreturn 2", "New.")],
        "json": [("def h(y):\nreturn y", "Another.")],
    },
    "body": {
        "ast": [("All of a paragraph.\nAnd more.", "First line.")],
        "json": [("Something else.", "Another."), ("A class's own.", "Of a class.")],
    },
}


@pytest.mark.parametrize("source", SUMMED)
def test_docsum_pairs_what_is_written_with_its_first_line(tmp_path, source):
    (tmp_path / "ast.py").write_text(
        '"""Module."""\nraise SystemExit("imported!")\n'
        '@decorated\ndef f(x=1):\n    """First line.\n\n    All of\n    a paragraph.\n\n    And more."""\n'
        "    if x:  # a comment\n        return x\n"
        'class C:\n    async def g(self):\n        "New."\n        return 2\n'
        '    def empty(self):\n        "Nothing to do."\n'
    )
    (tmp_path / "json.py").write_text(
        'def h(y):\n    """Another.\n\n    Something else."""\n    return y\n'
        'def same_summary(y):\n    """First line.\n\n    Not new."""\n    return y + 1\n'
        'def h(y):\n    """A summary of its own.\n\n    Something else."""\n    return y\n'
        'class D:\n    """Of a class.\n\n    A class\'s own."""\n'
    )
    modules, left_out = docsum.pairs(tmp_path, source)
    assert modules == SUMMED[source]
    assert left_out == {"code": {"empty": 1, "repeated": 2}, "body": {"empty": 3, "repeated": 2}}[source]


def test_docsum_shares_nothing_between_splits_and_counts_what_it_leaves_out():
    loaded = dataset("docsum").load()
    for side in ("source", "target"):
        texts = [text for split in SPLITS for text in loaded.splits[split][side]]
        assert len(texts) > 1000 and len(set(texts)) == len(texts) and all(map(str.strip, texts))
    sizes = {
        split: sum(len((row["source"] + row["target"]).encode()) for row in loaded.splits[split]) for split in SPLITS
    }
    assert sizes["test"] / sum(sizes.values()) == pytest.approx(0.05, abs=0.002)
    assert sizes["val"] / sum(sizes.values()) == pytest.approx(0.05, abs=0.002)
    assert min(loaded.origin["left_out"].values()) > 0
    assert fingerprint(dataset("docsum").load()) == fingerprint(loaded) != fingerprint(dataset("docsum", 2).load())


def rows(**columns):
    return corpus(dict.fromkeys(SPLITS, columns))


def test_fingerprint_sees_every_change():
    base = {
        "source": ["a b", "c"],
        "target": ["x", "y"],
        "source_spans": [[[0, 1, 0]], []],
        "target_spans": [[[0, 1, 0]], []],
    }
    changes = [
        {"source": ["a ", "bc"]},  # the same characters, cut elsewhere
        {"source": ["c", "a b"]},
        {"source_spans": [[], [[0, 1, 0]]]},
        {"source_spans": [[[0, 1, 1]], []]},
        {"source": ["x", "y"], "target": ["a b", "c"]},
    ]
    prints = [fingerprint(rows(**(base | change))) for change in ({}, *changes)]
    assert len(set(prints)) == len(prints)
    only_val = {split: dict(base) for split in SPLITS} | {"val": base | {"target": ["x", "z"]}}
    assert fingerprint(corpus(only_val)) not in prints


def test_fingerprint_sees_nothing_else(tmp_path):
    whole = Dataset.from_dict({"text": [f"row {i} ä" for i in range(50)], "n": list(range(50))})
    chunked = concatenate_datasets([whole.select(range(0, 20)), whole.select(range(20, 50))])
    selected = concatenate_datasets([whole, whole]).select([*range(25), *range(75, 100)])
    swapped = whole.select_columns(["n", "text"])
    whole.save_to_disk(tmp_path / "saved")
    stored = Dataset.load_from_disk(str(tmp_path / "saved"))
    prints = {
        fingerprint(Corpus(DatasetDict(dict.fromkeys(SPLITS, data))))
        for data in (whole, chunked, selected, swapped, stored)
    }
    assert len(prints) == 1


def test_the_fingerprint_is_what_its_words_say(monkeypatch):
    columns = {"spans": [[[0, 1], [1, 3]], [[4, 5]], []], "text": ["ä", "", "bc"]}
    digest = hashlib.sha256()

    def feed(content):
        digest.update(len(content).to_bytes(8, "little") + content)

    def numbers(*values):
        return b"".join(value.to_bytes(8, "little") for value in values)

    for split in ("test", "train", "val"):
        feed(f"{split}/spans/3".encode())
        for level in ((2, 1, 0), (2, 2, 2), (0, 1, 1, 3, 4, 5)):
            feed(numbers(*level))
        feed(f"{split}/text/3".encode())
        feed(numbers(2, 0, 2))
        feed("äbc".encode())
    assert fingerprint(rows(**columns)) == digest.hexdigest()
    monkeypatch.setattr(corpus_module, "_BATCH_BYTES", 1)  # row by row
    assert fingerprint(rows(**columns)) == digest.hexdigest()


def test_every_row_comes_once_in_order_and_few_long_ones_at_a_time(monkeypatch):
    monkeypatch.setattr(corpus_module, "_BATCH_BYTES", 8000)
    long = rows(text=[f"{number:1000}" for number in range(40)], other=["x"] * 40)
    assert max(map(len, tables(long.splits["train"]))) <= 8
    assert [(int(text), other) for text, other in long.rows("train", ["text", "other"])] == [
        (i, "x") for i in range(40)
    ]


SHARES = {"val": 0.2, "test": 0.1}


def pairs(rows):
    return Dataset.from_dict({"source": [s for s, _ in rows], "target": [t for _, t in rows]})


def documents(rows):
    return Dataset.from_dict({"text": [f"{s} {t}" for s, t in rows]})


def rows_of(found):
    return list(zip(*(found[name][:] for name in sorted(found.column_names)), strict=True))


@pytest.mark.parametrize("made", [pairs, documents])
@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=40, max_size=120), st.integers(0, 9))
def test_every_row_goes_to_one_split_with_all_that_are_like_it(made, numbers, data_seed):
    rows = made([(str(s), str(t)) for s, t in numbers])
    try:
        splits = with_fractions({"train": rows}, SHARES, data_seed)
    except Refused:
        assert made is pairs or len(set(rows_of(rows))) < 10
        return
    found = {split: rows_of(splits[split]) for split in SPLITS}
    assert sum(map(Counter, found.values()), Counter()) == Counter(rows_of(rows))
    like = {split: {row[0] for row in found[split]} for split in SPLITS}  # of pairs the source
    assert not any(like[one] & like[two] for one in SPLITS for two in SPLITS if one < two)
    assert found["train"] == [row for row in rows_of(rows) if row in set(found["train"])]


@settings(max_examples=20)
@given(st.sets(st.integers(0, 10**6), min_size=300, max_size=400), st.sets(st.integers(0, 10**6), max_size=200))
def test_pairs_that_are_added_move_no_other_and_a_share_leaves_the_other_alone(numbers, more):
    rows, others = ([(str(n), "x") for n in sorted(ones)] for ones in (numbers, more))
    before, after = (with_fractions({"train": pairs(one)}, SHARES, 1) for one in (rows, [*others, *rows, *rows]))
    larger = with_fractions({"train": pairs(rows)}, {"val": 0.3, "test": 0.1}, 1)
    for split in SPLITS:
        assert set(rows_of(before[split])) == set(rows_of(after[split])) & set(rows)
    assert rows_of(larger["test"]) == rows_of(before["test"])
    assert set(rows_of(larger["val"])) >= set(rows_of(before["val"]))


@pytest.mark.parametrize("made", [pairs, documents])
def test_shares_follow_from_content_and_seed_alone(made):
    rows = [(f"a{i}", f"b{i}") for i in range(1000)]
    splits = with_fractions({"train": made(rows)}, SHARES, 1)
    sizes = [len(splits[split]) for split in SPLITS]
    assert sizes == ([700, 200, 100] if made is documents else pytest.approx([700, 200, 100], abs=45))  # 3.5 sd
    backwards = with_fractions({"train": made(rows[::-1])}, SHARES, 1)
    for split in SPLITS:
        assert set(rows_of(splits[split])) == set(rows_of(backwards[split]))
    assert set(rows_of(with_fractions({"train": made(rows)}, SHARES, 2)["val"])) != set(rows_of(splits["val"]))
    given_val = with_fractions({"train": made(rows), "val": made([("v", "w")])}, SHARES, 1)
    assert (len(given_val["val"]), len(given_val["test"])) == (1, len(splits["test"]))


@pytest.mark.parametrize("made", [pairs, documents])
def test_too_few_rows_for_the_splits_are_refused(made):
    for few in ([("a", "b")] * 50, [("a", "b"), ("c", "d")]):
        with pytest.raises(Refused, match=r"too few to take val, test from"):
            with_fractions({"train": made(few)}, SHARES, 1)


@settings(max_examples=40)
@given(st.integers(3, 40), st.integers(0, 99), st.sampled_from([0.001, 0.01, 0.2, 0.49]))
def test_an_empty_split_is_refused_with_fractions_that_work(count, data_seed, share):
    rows, shares = pairs([(str(n), "x") for n in range(count)]), {"val": share, "test": 0.4}
    try:
        with_fractions({"train": rows}, shares, data_seed)
    except Refused as refusal:
        said = re.findall(r"data\.(val|test)_fraction=([\d.]+)", str(refusal).partition(": ")[2])
        if said:
            shares |= {split: float(fraction) for split, fraction in said}
            assert all(len(one) for one in with_fractions({"train": rows}, shares, data_seed).values())
        else:
            assert "too few" in str(refusal) and count < 8


words = st.sampled_from(["", "a", "b", "ab", "ä"])
some_rows = st.lists(st.tuples(words, words), min_size=1, max_size=12)


@given(some_rows, some_rows, some_rows)
def test_overlap_counts_as_sets_do(train, val, test):
    splits = {"train": train, "val": val, "test": test}
    columns = {split: {"source": [s for s, _ in one], "target": [t for _, t in one]} for split, one in splits.items()}
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


def test_datasets_are_found_and_declare_themselves_without_torch():
    assert {"locale", "multi30k", "pairs", "pydocs", "recall", "reverse", "text", "tinyshakespeare"} <= {
        *names("datasets")
    }
    for name in names("datasets"):
        one = load("datasets", name)
        assert one.kind in COLUMNS and "tokenizer" in one.Config.model_fields
    with pytest.raises(Refused, match=r"unknown dataset 'pair' \(did you mean pairs\?\); valid: .*recall"):
        load("datasets", "pair")
    code = (
        "import sys; from attncompare.registry import *; [load('datasets', one) for one in names('datasets')]; "
        "print({*sys.modules} & {'torch', 'datasets', 'babel'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
