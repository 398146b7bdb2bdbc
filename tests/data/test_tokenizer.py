"""Tokenizers: round trips, offsets, labels, what a file of one may hold, and the sums of the unigram model."""

import itertools
import json
import math
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attncompare.data import tokenizer as tokenizer_module
from attncompare.data.dataset import TokenizerConfig
from attncompare.data.tokenizer import BOS, EOS, PAD, UNK, Lattice, Tokenizer, overlaps, token_bytes, train_unigram
from attncompare.errors import Refused

BYTES, LETTERS = True, False
PIECES = (("bpe", BYTES), ("bpe", LETTERS), ("unigram", BYTES), ("unigram", LETTERS))
KINDS = (("word", None), ("character", None), *PIECES)
ALL_BYTES = [kind for kind in KINDS if kind[1]]
TEXTS = [
    "The cat sat on the mat, didn't it?",
    "  two  spaces\n\n\tand a tab ",
    "März, 15:05 Uhr — größer als 1.234,5 €",
    "二千二十四年三月九日 👍🏽 <bos> <pad>",
    " k07 v12 . .",
]


def train(kind, texts=TEXTS, vocab_size=None, min_count=1):
    name, made_of_bytes = (kind, None) if isinstance(kind, str) else kind
    usual = {"bpe": 300, "unigram": 300}.get(name) if made_of_bytes is not LETTERS else 100
    config = TokenizerConfig(
        kind=name, vocab_size=vocab_size or usual, min_count=min_count, bytes=made_of_bytes, joint=True
    )
    return Tokenizer.train(lambda: texts, config)


@pytest.mark.parametrize("kind", KINDS)
def test_known_text_comes_back_and_the_bytes_of_its_tokens_add_up(kind):
    tokenizer = train(kind)
    for text in TEXTS:
        ids, offsets = tokenizer.encode(text)
        assert not {PAD, UNK, BOS, EOS} & set(ids)
        assert tokenizer.decode([BOS, *ids, EOS, *ids, PAD]) == text
        assert offsets[0][0] == 0 and offsets[-1][1] == len(text)
        assert tokenizer.encode_batch([text, text])[1] == (ids, offsets)
        sizes = token_bytes(text, offsets)
        assert len(sizes) == len(ids) and sizes.sum() == len(text.encode())
    assert token_bytes("aé€", [(0, 1), (1, 3)]).tolist() == [1, 5]
    assert token_bytes("€", [(0, 1), (0, 1), (0, 1)]).tolist() == [3, 0, 0]


BPE = train("bpe")


@pytest.mark.parametrize("kind", ALL_BYTES)
def test_pieces_of_bytes_know_every_text(kind):
    tokenizer, rng = train(kind), random.Random(0)
    for _ in range(500):
        # From all planes of Unicode, surrogates aside, with space and punctuation in between.
        codes = [
            rng.choice((rng.randrange(0x100), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000), 32, 46))
            for _ in range(9)
        ]
        text = "".join(map(chr, codes))
        ids, offsets = tokenizer.encode(text)
        assert UNK not in ids
        assert tokenizer.decode(ids) == text
        assert int(token_bytes(text, offsets).sum()) == len(text.encode())


def test_words_carry_their_space_and_punctuation_stands_alone():
    tokenizer = train("word")
    labels = tokenizer.labels(tokenizer.encode("The cat sat on the mat, didn't it?").ids)
    assert labels == ["The", "▁cat", "▁sat", "▁on", "▁the", "▁mat", ",", "▁didn", "'", "t", "▁it", "?"]


def test_labels_are_readable():
    assert train("character").labels([PAD, UNK, BOS, EOS]) == ["<pad>", "<unk>", "<bos>", "<eos>"]
    assert "".join(BPE.labels(BPE.encode("\n\ta b").ids)) == "⏎⇥a▁b"
    assert "".join(BPE.labels(BPE.encode("☃").ids)) == "⟨E2⟩⟨98⟩⟨83⟩"
    with pytest.raises(ValueError, match="id 9999 is not in the vocabulary"):
        BPE.labels([9999])


@example("<pad> </s> [MASK] ▁ Ġ ĠĠa▁b")
@example("caf\u00e9 cafe\u0301 \ufeff\u200b\u200d\u2028\x85\f")
@example("שלום עולם مرحبا \u202eabc\u202c")
@example("👩🏽‍🚀👨‍👩‍👧‍👦🏳️‍🌈")
@example("Donaudampfschiff" * 20)
@given(text=st.text(max_size=40) | st.text("ab <>/&;unkpade▁Ġ\n", max_size=40))
@settings(max_examples=300)
def test_whatever_the_text_its_known_part_comes_back(text):
    for tokenizer in ANY.values():
        ids, offsets = tokenizer.encode(text)
        assert not {PAD, BOS, EOS} & set(ids)
        known = [text[start:end] for number, (start, end) in zip(ids, offsets, strict=True) if number != UNK]
        if UNK in ids:
            assert tokenizer.decode(ids) == "".join(known)
        else:
            assert tokenizer.decode(ids) == text
        assert tokenizer.encode_ids([text, "ab"])[0] == ids


ANY = {kind: train(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", [kind for kind in PIECES if not kind[1]])
def test_pieces_of_characters_do_not_know_new_ones(kind):
    tokenizer = train(kind)
    assert UNK not in tokenizer.encode("".join(TEXTS)).ids
    assert tokenizer.decode(tokenizer.encode("the☃cat").ids) == "thecat"
    assert tokenizer.encode("the☃cat").ids.count(UNK) == 1


@pytest.mark.parametrize("kind", PIECES)
def test_pieces_carry_the_space_before_them_also_where_a_text_is_cut_by_spaces(kind):
    texts = [
        "two young , white males are outside near many bushes .",
        "several men in hard hats are operating a giant pulley .",
    ]
    tokenizer = train(kind, texts, 330 if kind[1] else 90)
    labels = tokenizer.labels(tokenizer.encode(texts[0]).ids)
    assert "".join(labels) == texts[0].replace(" ", "▁")
    assert {"▁,", "▁."} <= set(labels)
    assert all("▁" not in label[1:] for label in labels)


@pytest.mark.parametrize("kind", KINDS)
def test_words_that_are_counted_segment_by_segment_give_the_same_vocabulary(kind, monkeypatch):
    whole = train(kind).to_text()
    monkeypatch.setattr(tokenizer_module, "_SEGMENT", 20)
    monkeypatch.setattr(tokenizer_module, "_REPEATED", 3)
    assert train(kind).to_text() == whole


def test_where_different_words_take_too_much_memory_the_rarest_are_forgotten(monkeypatch):
    monkeypatch.setattr(tokenizer_module, "_SEGMENT", 1)
    monkeypatch.setattr(tokenizer_module, "_MOST_LETTERS", 40)
    texts = [*["often"] * 9, *(f"once{chr(97 + number)}" for number in range(26)), *["often"] * 9]
    tokenizer = train("word", texts)
    assert tokenizer.labels([4]) == ["often"]
    assert tokenizer.vocab_size < 14


UNIGRAM_IN_A_PROCESS = """
from attncompare.data.dataset import TokenizerConfig
from attncompare.data.tokenizer import Tokenizer
words = [" ".join(chr(97 + i * k % 26) * (i % 3 + 1) + chr(98 + k % 20) for k in range(9)) for i in range(300)]
for made_of_bytes in (True, False):
    config = TokenizerConfig(kind="unigram", vocab_size=400, min_count=1, bytes=made_of_bytes, joint=True)
    print(Tokenizer.train(lambda: words, config).to_text())
"""


def test_a_unigram_vocabulary_is_the_same_in_every_process():
    runs = [
        subprocess.run([sys.executable, "-c", UNIGRAM_IN_A_PROCESS], capture_output=True, check=True, env=environment)
        for environment in ({**os.environ, "PYTHONHASHSEED": str(seed)} for seed in (1, 2))
    ]
    assert runs[0].stdout == runs[1].stdout and len(runs[0].stdout) > 10_000


def test_only_pieces_can_be_made_of_bytes_and_they_need_a_size(make_config):
    words = ("data.tokenizer.kind=word", "data.tokenizer.vocab_size=null")
    with pytest.raises(Refused, match=r"data\.tokenizer: bytes=true does not fit kind=word; .* bpe and unigram"):
        make_config(*words, "data.tokenizer.bytes=true")
    assert not make_config(*words, "data.tokenizer.bytes=false").data.tokenizer.byte_level
    assert make_config("data.tokenizer.kind=unigram").data.tokenizer.byte_level
    with pytest.raises(Refused, match=r"data\.tokenizer: a unigram tokenizer needs a vocab_size"):
        make_config("data.tokenizer.kind=unigram", "data.tokenizer.vocab_size=null")
    with pytest.raises(Refused, match=r"data\.tokenizer\.joint=false: there is one vocabulary"):
        make_config("task=language_model", "data.tokenizer.joint=false")


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_too_few_tokens_for_all_characters_are_refused(kind):
    letters = len(set("".join(TEXTS))) + 4
    with pytest.raises(Refused, match=rf"vocab_size=20 is too small; with bytes=false .* at least {letters}$"):
        train((kind, LETTERS), vocab_size=20)
    assert train((kind, LETTERS), vocab_size=letters).vocab_size == letters


@pytest.mark.parametrize("kind", ["word", "character"])
def test_what_is_rare_is_unknown(kind):
    tokenizer = train(kind, ["a a b", "a"], min_count=2)
    text = "a" if kind == "character" else " a a"
    assert UNK in tokenizer.encode(" b").ids
    assert tokenizer.decode(tokenizer.encode("b").ids) == ""
    assert tokenizer.vocab_size == (5 if kind == "word" else 6)
    assert UNK not in tokenizer.encode(text[-1]).ids


def test_min_count_stops_rare_merges():
    texts = ["abab abab", "cdcd"]
    assert train("bpe", texts, 264).vocab_size == 264
    assert train("bpe", texts, 264, min_count=3).vocab_size == 261  # "ab"


@pytest.mark.parametrize(
    ("kind", "possible"),
    [("word", 6), ("character", 7), ("bpe", 261), (("bpe", LETTERS), 7), ("unigram", 261), (("unigram", LETTERS), 7)],
)
def test_a_vocabulary_has_no_more_tokens_than_the_data_give(kind, possible):
    texts = ["ab ab"] if kind in ("word", "character") else ["ab"]
    most = train(kind, texts, 10**12)
    assert most.vocab_size == possible
    assert most.to_text() == train(kind, texts, possible).to_text()


@pytest.mark.parametrize(("kind", "smallest"), [("word", 5), ("character", 5), ("bpe", 260), ("unigram", 260)])
def test_too_small_a_vocabulary_is_refused(kind, smallest):
    with pytest.raises(Refused, match=f"vocab_size={smallest - 1} is too small; a {kind} tokenizer needs {smallest}"):
        train(kind, TEXTS, smallest - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_trained_anew_or_saved_and_loaded_it_is_the_same(kind):
    tokenizer = train(kind)
    for other in (train(kind), Tokenizer.parse(tokenizer.to_text().encode(), "tokenizer.json")):
        assert [other.encode(text) for text in TEXTS] == [tokenizer.encode(text) for text in TEXTS]
        assert other.labels(range(other.vocab_size)) == tokenizer.labels(range(tokenizer.vocab_size))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version": "1.0"'])
def test_a_damaged_file_is_refused_in_one_line(content):
    with pytest.raises(Refused, match=r"tokenizer\.json: ") as refusal:
        Tokenizer.parse(content, "tokenizer.json")
    assert "\n" not in str(refusal.value)


def test_a_token_shows_its_characters_without_its_space():
    text = "on  March"
    assert overlaps(text, (3, 9), 4, 9)
    assert not overlaps(text, (3, 9), 2, 4)  # the space before "March" is not what the token says
    assert overlaps(text, (2, 3), 2, 4)  # a token of space alone says space
    assert not overlaps(text, (0, 2), 2, 9)


# What a file may hold: a vocabulary and nothing else.
REGEX = {"type": "Split", "pattern": {"Regex": "(a|a)*$"}, "behavior": "Isolated", "invert": False}
SET = {  # values of the file, or of its model, that are others
    "another regular expression": {"pre_tokenizer": REGEX},
    "no cutting": {"pre_tokenizer": None},
    "a normalizer": {"normalizer": {"type": "Prepend", "prepend": "x"}},
    "a post-processor": {"post_processor": {"type": "BertProcessing", "sep": ["<eos>", 3], "cls": ["<bos>", 2]}},
    "another decoder": {"decoder": {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}},
    "padding": {"padding": {"strategy": {"Fixed": 2**30}, "direction": "Right"}},
    "truncation": {"truncation": {"max_length": 0}},
    "no special tokens": {"added_tokens": []},
    "another key": {"x": 1},
    "another kind of model": {"model": {"type": "WordPiece", "max_input_chars_per_word": 1}},
    "another unknown token": {"model": {"unk_token": "a"}},
    "dropout": {"model": {"dropout": 0.5}},
    "another id for what is unknown": {"model": {"unk_id": 0}},
    "no vocabulary": {"model": {"vocab": None}},
    "a list for a vocabulary": {"model": {"vocab": [["a", 0]]}},
}
IDS = {"a gap": {"zz": 10**6}, "an id twice": {"zz": 5}, "a text": {"zz": "5"}, "exchanged": {"<pad>": 1, "<unk>": 0}}
SCORES = {
    "no logarithm": lambda vocab: vocab.append(["zz", 0.5]),
    "a text": lambda vocab: vocab.append(["zz", "-1"]),
    "without end": lambda vocab: vocab.append(["zz", -math.inf]),
    "a token alone": lambda vocab: vocab.append("zz"),
    "a token that is a number": lambda vocab: vocab.append([5, -1.0]),
    "a token twice": lambda vocab: vocab.append(list(vocab[-1])),
    "specials exchanged": lambda vocab: vocab.insert(0, vocab.pop(1)),
}


def written(kind):
    """Return what a small tokenizer's file holds."""
    size = None if kind[0] in ("word", "character") else 8 if kind[1] is LETTERS else 262
    return json.loads(train(kind, ["abab ab", "b ab"], size).to_text())


def refused(values):
    with pytest.raises(Refused, match=r"t\.json: ") as refusal:
        Tokenizer.parse(json.dumps(values).encode(), "t.json")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_holds_anything_else_is_refused(kind):
    for change in SET.values():
        values = written(kind)
        refused({**values, **change, "model": {**values["model"], **change.get("model", {})}})
    values = written(kind)
    special = {**values["added_tokens"][0], "id": 4, "content": "x"}
    refused({**values, "added_tokens": [*values["added_tokens"], special]})
    for change in (SCORES if kind[0] == "unigram" else IDS).values():
        values = written(kind)
        vocab = values["model"]["vocab"]
        change(vocab) if kind[0] == "unigram" else vocab.update(change)
        refused(values)


@pytest.mark.parametrize("merges", [[["a", "zz"]], [["a"]], "ab", [["a", "a"]], None, [[0, 1]]])
def test_merges_that_do_not_fit_the_vocabulary_are_refused(merges):
    for kind in (("bpe", BYTES), ("bpe", LETTERS)):
        values = written(kind)
        values["model"]["merges"] = merges
        refused(values)


def test_pieces_that_are_no_bytes_are_refused():
    values = written(("unigram", BYTES))
    values["model"]["vocab"][-1][0] = "日"
    refused(values)
    values = written(("bpe", BYTES))
    values["model"]["vocab"] = {"日" if token == "a" else token: i for token, i in values["model"]["vocab"].items()}
    refused(values)


# The unigram model's sums over all ways to cut a word, against an enumeration of them.
CUTS = ["a", "b", "ab", "ba", "aba", "bb"]
NUMBER_OF = {piece: number for number, piece in enumerate(CUTS)}
WORDS = ["a", "ab", "abab", "babba", "bb"]
COUNTS = np.array([3, 1, 4, 1, 5])
PROBABILITY = np.array([0.1, 0.2, 0.3, 0.05, 0.15, 0.2])


def cuts(word):
    """Return every way to cut ``word`` into pieces."""
    found = []
    for places in itertools.product((False, True), repeat=len(word) - 1):
        bounds = [0, *(place + 1 for place, cut in enumerate(places) if cut), len(word)]
        pieces = [word[start:end] for start, end in itertools.pairwise(bounds)]
        if all(piece in NUMBER_OF for piece in pieces):
            found.append([NUMBER_OF[piece] for piece in pieces])
    return found


def likelihood(cut):
    return math.prod(PROBABILITY[number] for number in cut)


def test_likelihood_and_expectation_are_sums_over_all_ways_to_cut():
    lattice = Lattice(WORDS, NUMBER_OF)
    totals = [sum(map(likelihood, cuts(word))) for word in WORDS]
    assert lattice.likelihoods(PROBABILITY) == pytest.approx(totals)
    expected = np.zeros(len(CUTS))
    for word, count, total in zip(WORDS, COUNTS, totals, strict=True):
        for cut in cuts(word):
            for number in cut:
                expected[number] += count * likelihood(cut) / total
    assert lattice.expected(PROBABILITY, COUNTS) == pytest.approx(expected)


def test_a_piece_that_is_gone_is_in_no_way_to_cut():
    lattice = Lattice(WORDS, NUMBER_OF)
    lattice.keep(np.array([True, True, False, True, True, True]))
    without = [sum(likelihood(cut) for cut in cuts(word) if NUMBER_OF["ab"] not in cut) for word in WORDS]
    assert lattice.likelihoods(PROBABILITY) == pytest.approx(without)


def test_what_a_piece_could_be_cut_into_leaves_itself_out():
    found = Lattice(CUTS, NUMBER_OF, whole=False).likelihoods(PROBABILITY)
    by_hand = [sum(likelihood(cut) for cut in cuts(piece) if len(cut) > 1) for piece in CUTS]
    assert found == pytest.approx(by_hand)


def test_what_comes_often_becomes_a_piece_and_letters_stay():
    words = ["▁the", "▁then", "▁other", "▁cat", "▁x"]
    counts = np.array([500, 200, 100, 3, 1])
    pieces = dict(train_unigram(words, counts, ["q"], 14, 1))
    letters = set("".join(words)) | {"q"}
    assert len(pieces) == 14 and letters <= pieces.keys() and "▁the" in pieces
    assert sum(math.exp(score) for score in pieces.values()) == pytest.approx(1)
    assert list(pieces.values()) == sorted(pieces.values(), reverse=True)
    assert "▁cat" in dict(train_unigram(words, counts, [], 1000, 3))
    assert "▁cat" not in dict(train_unigram(words, counts, [], 1000, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_a_task_adds_stands_last_and_no_text_encodes_to_it(kind):
    plain = train(kind, [*TEXTS, "a <mask> b"])
    tokenizer = plain.with_specials(("<mask>",))
    read = Tokenizer.parse(tokenizer.to_text().encode(), "tokenizer.json")
    for one in (tokenizer, read):
        mask = one.special("<mask>")
        assert mask == plain.vocab_size == one.vocab_size - 1
        assert one.labels([mask]) == ["<mask>"]
        for text in (*TEXTS, "a <mask> b"):
            assert one.encode(text) == plain.encode(text)
    assert plain.to_text() == train(kind, [*TEXTS, "a <mask> b"]).to_text()


@pytest.mark.parametrize("name", ["x", "<pad>", "<a b>", "<mask>"])
def test_added_tokens_that_are_no_names_are_refused(name):
    values = json.loads(BPE.with_specials(("<mask>",)).to_text())
    values["added_tokens"].append({**values["added_tokens"][-1], "content": name})
    with pytest.raises(Refused, match="tokenizer.json"):
        Tokenizer.parse(json.dumps(values).encode(), "tokenizer.json")
