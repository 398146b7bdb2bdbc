"""A tokenizer's file brings a vocabulary and nothing else: how texts are cut is code."""

import json
import math

import pytest

from attncompare.config import TokenizerConfig
from attncompare.data.tokenizer import Tokenizer
from attncompare.errors import Refused

KINDS = ("word", "character", "bpe", "unigram", "bpe of characters", "unigram of characters")
REGEX = {"type": "Split", "pattern": {"Regex": "(a|a)*$"}, "behavior": "Isolated", "invert": False}


def written(kind, tmp_path):
    """Return what a small tokenizer's file holds."""
    name, of_characters, _ = kind.partition(" of characters")
    size = {"bpe": 262, "unigram": 262}.get(name) if not of_characters else 8
    config = TokenizerConfig(
        kind=name, vocab_size=size, min_count=1, bytes=False if of_characters else None, joint=True
    )
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
    "bytes as a fallback": lambda v: v["model"].update(byte_fallback=True),
    "dropout": lambda v: v["model"].update(dropout=0.5),
    "another key": lambda v: v.update(x=1),
    "another id for what is unknown": lambda v: v["model"].update(unk_id=0),
    "no vocabulary": lambda v: v["model"].pop("vocab"),
    "a list for a vocabulary": lambda v: v["model"].update(vocab=[["a", 0]]),
}
OF_IDS = {
    "a gap in the ids": lambda v: v["model"]["vocab"].update(zz=10**6),
    "an id twice": lambda v: v["model"]["vocab"].update(zz=5),
    "an id that is a text": lambda v: v["model"]["vocab"].update(zz="5"),
    "ids exchanged": swap_ids,
}
OF_SCORES = {
    "a score that is no logarithm": lambda vocab: vocab.append(["zz", 0.5]),
    "a score that is a text": lambda vocab: vocab.append(["zz", "-1"]),
    "a score without end": lambda vocab: vocab.append(["zz", -math.inf]),
    "a score that is a whole number": lambda vocab: vocab.append(["zz", -1]),
    "no score": lambda vocab: vocab.append(["zz"]),
    "a token alone": lambda vocab: vocab.append("zz"),
    "a token that is a number": lambda vocab: vocab.append([5, -1.0]),
    "a token twice": lambda vocab: vocab.append(list(vocab[-1])),
    "specials exchanged": lambda vocab: vocab.insert(0, vocab.pop(1)),
    "specials gone": lambda vocab: vocab.pop(0),
}
WITH_IDS = [kind for kind in KINDS if not kind.startswith("unigram")]
CASES = [
    *((kind, name, change) for name, change in CHANGES.items() for kind in KINDS),
    *((kind, name, change) for name, change in OF_IDS.items() for kind in WITH_IDS),
    *(
        (kind, name, lambda values, change=change: change(values["model"]["vocab"]))
        for name, change in OF_SCORES.items()
        for kind in KINDS
        if kind not in WITH_IDS
    ),
]


@pytest.mark.parametrize(("kind", "name", "change"), CASES, ids=[f"{name}-{kind}" for kind, name, _ in CASES])
def test_anything_else_is_refused(kind, name, change, tmp_path):
    values = written(kind, tmp_path)
    change(values)
    with pytest.raises(Refused, match=r"t\.json: ") as refusal:
        Tokenizer.parse(json.dumps(values).encode(), tmp_path / "t.json")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("merges", [[["a", "zz"]], [["a"]], "ab", [["a", "a"]], None, [[0, 1]]])
def test_merges_that_do_not_fit_the_vocabulary_are_refused(merges, tmp_path):
    values = written("bpe", tmp_path)
    values["model"]["merges"] = merges
    with pytest.raises(Refused, match="do not fit"):
        Tokenizer.parse(json.dumps(values).encode(), "t.json")


def test_a_piece_of_a_unigram_model_that_is_no_bytes_is_refused(tmp_path):
    values = written("unigram", tmp_path)
    values["model"]["vocab"][-1][0] = "日"
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
