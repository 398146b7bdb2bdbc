"""A tokenizer's file brings a vocabulary and nothing else: how texts are cut is code."""

import json

import pytest

from attncompare.config import TokenizerConfig
from attncompare.data.tokenizer import Tokenizer
from attncompare.errors import Refused

KINDS = ("word", "character", "bpe")
REGEX = {"type": "Split", "pattern": {"Regex": "(a|a)*$"}, "behavior": "Isolated", "invert": False}


def written(kind, tmp_path):
    """Return what a small tokenizer's file holds."""
    config = TokenizerConfig(kind=kind, vocab_size=262 if kind == "bpe" else None, min_count=1)
    (tmp_path / "t.json").write_text(Tokenizer.train(["abab ab", "b ab"], config).to_text())
    return json.loads((tmp_path / "t.json").read_text())


def swap_ids(values):
    vocab = values["model"]["vocab"]
    first, second = list(vocab)[:2]
    vocab[first], vocab[second] = vocab[second], vocab[first]


CHANGES = {
    "another regular expression": lambda v: v.update(pre_tokenizer=REGEX),
    "one more regular expression": lambda v: v.update(
        pre_tokenizer={"type": "Sequence", "pretokenizers": [v["pre_tokenizer"], REGEX]}
    ),
    "no cutting": lambda v: v.update(pre_tokenizer=None),
    "a normalizer": lambda v: v.update(normalizer={"type": "Prepend", "prepend": "x"}),
    "a post-processor": lambda v: v.update(
        post_processor={"type": "BertProcessing", "sep": ["<eos>", 3], "cls": ["<bos>", 2]}
    ),
    "another decoder": lambda v: v.update(decoder={"type": "Replace", "pattern": {"String": "a"}, "content": "b"}),
    "padding": lambda v: v.update(padding={"strategy": {"Fixed": 2**30}, "direction": "Right"}),
    "truncation": lambda v: v.update(truncation={"max_length": 0}),
    "one more special token": lambda v: v["added_tokens"].append({**v["added_tokens"][0], "id": 4, "content": "x"}),
    "no special tokens": lambda v: v.update(added_tokens=[]),
    "another kind of model": lambda v: v["model"].update(type="WordPiece", max_input_chars_per_word=1),
    "another unknown token": lambda v: v["model"].update(unk_token="a"),
    "dropout": lambda v: v["model"].update(dropout=0.5),
    "another key": lambda v: v.update(x=1),
    "a gap in the ids": lambda v: v["model"]["vocab"].update(zz=10**6),
    "an id twice": lambda v: v["model"]["vocab"].update(zz=5),
    "an id that is a text": lambda v: v["model"]["vocab"].update(zz="5"),
    "ids exchanged": swap_ids,
    "no vocabulary": lambda v: v["model"].pop("vocab"),
    "a list for a vocabulary": lambda v: v["model"].update(vocab=[["a", 0]]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES)
def test_anything_else_is_refused(kind, change, tmp_path):
    values = written(kind, tmp_path)
    CHANGES[change](values)
    with pytest.raises(Refused, match=r"t\.json: ") as refusal:
        Tokenizer.parse(json.dumps(values).encode(), tmp_path / "t.json")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("merges", [[["a", "zz"]], [["a"]], "ab", [["a", "a"]], None, [[0, 1]]])
def test_merges_that_do_not_fit_the_vocabulary_are_refused(merges, tmp_path):
    values = written("bpe", tmp_path)
    values["model"]["merges"] = merges
    with pytest.raises(Refused, match="do not fit"):
        Tokenizer.parse(json.dumps(values).encode(), "t.json")


def test_a_piece_that_is_no_bytes_is_refused(tmp_path):
    values = written("bpe", tmp_path)
    values["model"]["vocab"] = {"日" if token == "a" else token: i for token, i in values["model"]["vocab"].items()}
    with pytest.raises(Refused, match="do not fit"):
        Tokenizer.parse(json.dumps(values).encode(), "t.json")


@pytest.mark.parametrize("kind", KINDS)
def test_what_we_write_is_read(kind, tmp_path):
    values = written(kind, tmp_path)
    assert Tokenizer.parse(json.dumps(values).encode(), "t.json").encode("ab ab").ids
