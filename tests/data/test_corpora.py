"""The other generated corpora, and the fingerprint of all."""

import ast
import hashlib
import sys

import pytest
from datasets import Dataset, DatasetDict, concatenate_datasets

from attncompare.config import PydocsConfig, RecallConfig, ReverseConfig, TokenizerConfig
from attncompare.data import corpus as corpus_module
from attncompare.data.corpora import load_corpus
from attncompare.data.corpora.pydocs import docstrings
from attncompare.data.corpus import Corpus, corpus, fingerprint
from attncompare.data.splits import SPLITS
from attncompare.errors import Refused

TOKENIZER = TokenizerConfig(kind="word", vocab_size=None, min_count=1, bytes=None, joint=True)
SIZES = {
    "train_size": 200,
    "val_size": 30,
    "test_size": 30,
    "batch_size": 8,
    "batch_tokens": None,
    "tokenizer": TOKENIZER,
}
REVERSE = ReverseConfig(name="reverse", symbols=26, min_symbols=4, max_symbols=12, **SIZES)
RECALL = RecallConfig(name="recall", symbols=64, pairs=4, length=40, **SIZES)
PYDOCS = PydocsConfig(
    name="pydocs", val_fraction=0.05, test_fraction=0.05, batch_size=8, batch_tokens=None, tokenizer=TOKENIZER
)


@pytest.fixture(scope="module")
def pydocs():
    return load_corpus(PYDOCS, 1)


@pytest.mark.parametrize("config", [REVERSE, RECALL])
def test_generated_corpora_are_functions_of_the_seed(config):
    assert fingerprint(load_corpus(config, 1)) == fingerprint(load_corpus(config, 1))
    assert fingerprint(load_corpus(config, 1)) != fingerprint(load_corpus(config, 2))


@pytest.mark.parametrize("config", [REVERSE, RECALL])
def test_generated_corpora_touch_no_file(config):
    loaded = load_corpus(config, 1)
    assert all(not files for files in loaded.splits.cache_files.values())
    assert [loaded.splits[split].num_rows for split in SPLITS] == [200, 30, 30]


def test_reverse_reverses_and_aligns():
    loaded = load_corpus(REVERSE, 1)
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
    few = REVERSE.model_copy(update={"symbols": 2, "max_symbols": 4})
    with pytest.raises(Refused, match="data=reverse cannot give 260 different pairs"):
        load_corpus(few, 1)


def test_recall_asks_for_what_it_told():
    for row in load_corpus(RECALL, 1).splits["train"]:
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


def test_recall_puts_queries_everywhere():
    places = {row["text"][: row["scored"][0][0]].count(" ") for row in load_corpus(RECALL, 1).splits["train"]}
    assert min(places) <= 12 and max(places) >= 24


def test_pydocs_is_what_ast_reads(pydocs):
    texts = {text for split in SPLITS for text in pydocs.splits[split]["text"]}
    for module in (ast, random_module := sys.modules["random"]):
        assert module.__doc__ is None or ast.get_docstring(ast.parse(f"'''{module.__doc__}'''")) in texts
    assert random_module.shuffle.__doc__.strip() in texts
    assert pydocs.stream


def test_pydocs_splits_share_no_docstring_and_have_their_size(pydocs):
    texts = [text for split in SPLITS for text in pydocs.splits[split]["text"]]
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


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_batches_give_every_row_once_in_order(size):
    loaded = load_corpus(REVERSE, 1)
    batches = list(loaded.batches("val", ["target", "source"], size))
    assert all(len(batch["source"]) <= size for batch in batches)
    for column in ("source", "target"):
        assert [text for batch in batches for text in batch[column]] == loaded.column("val", column)


def test_batches_of_long_rows_are_short(monkeypatch):
    monkeypatch.setattr(corpus_module, "_BATCH_BYTES", 8000)
    long = rows(text=["x" * 1000] * 40)
    assert max(len(batch["text"]) for batch in long.batches("train", ["text"])) <= 8
