"""Round trips, offsets, labels and refusals of the tokenizers."""

import random

import pytest

from attncompare.config import TokenizerConfig
from attncompare.data.offsets import overlaps, token_bytes
from attncompare.data.tokenizer import BOS, EOS, PAD, UNK, Tokenizer
from attncompare.errors import Refused

KINDS = ("word", "character", "bpe")
TEXTS = [
    "The cat sat on the mat, didn't it?",
    "  two  spaces\n\n\tand a tab ",
    "März, 15:05 Uhr — größer als 1.234,5 €",
    "二千二十四年三月九日 👍🏽 <bos> <pad>",
    " k07 v12 . .",
]


def train(kind, texts=TEXTS, vocab_size=None, min_count=1):
    size = (300 if vocab_size is None else vocab_size) if kind == "bpe" else vocab_size
    return Tokenizer.train(texts, TokenizerConfig(kind=kind, vocab_size=size, min_count=min_count))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", TEXTS)
def test_known_text_comes_back(kind, text):
    tokenizer = train(kind)
    ids, offsets = tokenizer.encode(text)
    assert not {PAD, UNK, BOS, EOS} & set(ids)
    assert tokenizer.decode([BOS, *ids, EOS, *ids, PAD]) == text
    assert offsets[0][0] == 0 and offsets[-1][1] == len(text)
    assert tokenizer.encode_batch([text, text])[1] == (ids, offsets)


BPE = train("bpe")


def test_bpe_knows_every_text():
    rng = random.Random(0)
    for _ in range(500):
        # From all planes of Unicode, surrogates aside, with space and punctuation in between.
        codes = [
            rng.choice((rng.randrange(0x100), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000), 32, 46))
            for _ in range(9)
        ]
        text = "".join(map(chr, codes))
        ids, offsets = BPE.encode(text)
        assert UNK not in ids
        assert BPE.decode(ids) == text
        assert int(token_bytes(text, offsets).sum()) == len(text.encode())


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_tokens_add_up(kind):
    tokenizer = train(kind)
    for text in TEXTS:
        ids, offsets = tokenizer.encode(text)
        sizes = token_bytes(text, offsets)
        assert len(sizes) == len(ids)
        assert sizes.sum() == len(text.encode())
    assert token_bytes("aé€", [(0, 1), (1, 3)]).tolist() == [1, 5]
    assert token_bytes("€", [(0, 1), (0, 1), (0, 1)]).tolist() == [3, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_ids(kind):
    first, second = train(kind), train(kind)
    assert [first.encode(text) for text in TEXTS] == [second.encode(text) for text in TEXTS]
    assert first.labels(range(first.vocab_size)) == second.labels(range(second.vocab_size))


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
    with pytest.raises(Refused, match="min_count=3"):
        train("bpe", texts, 264, min_count=3)


@pytest.mark.parametrize(("kind", "possible"), [("word", 6), ("character", 7), ("bpe", 261)])
def test_a_vocabulary_larger_than_the_data_is_refused_with_its_size(kind, possible):
    with pytest.raises(Refused, match=rf"vocab_size=1000000000000 is more than .* at most {possible} "):
        train(kind, ["ab ab"] if kind != "bpe" else ["ab"], 10**12)
    assert train(kind, ["ab ab"] if kind != "bpe" else ["ab"], possible).vocab_size == possible


@pytest.mark.parametrize(("kind", "smallest"), [("word", 5), ("character", 5), ("bpe", 260)])
def test_too_small_a_vocabulary_is_refused(kind, smallest):
    with pytest.raises(Refused, match=f"vocab_size={smallest - 1} is too small; a {kind} tokenizer needs {smallest}"):
        train(kind, TEXTS, smallest - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_is_the_same(kind):
    tokenizer = train(kind)
    loaded = Tokenizer.parse(tokenizer.to_text().encode(), "tokenizer.json")
    for text in TEXTS:
        assert loaded.encode(text) == tokenizer.encode(text)
        assert loaded.labels(loaded.encode(text).ids) == tokenizer.labels(tokenizer.encode(text).ids)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version": "1.0"'])
def test_a_damaged_file_is_refused_in_one_line(content):
    with pytest.raises(Refused, match=r"tokenizer\.json: ") as refusal:
        Tokenizer.parse(content, "tokenizer.json")
    assert "\n" not in str(refusal.value)


def test_a_tokenizer_of_another_making_is_refused():
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    other = Backend(models.WordLevel({"a": 0}, unk_token="a")).to_str()
    with pytest.raises(Refused, match="ids 0-3 are not"):
        Tokenizer.parse(other.encode(), "tokenizer.json")


def test_a_token_shows_its_characters_without_its_space():
    text = "on  March"
    assert overlaps(text, (3, 9), 4, 9)
    assert not overlaps(text, (3, 9), 2, 4)  # the space before "March" is not what the token says
    assert overlaps(text, (2, 3), 2, 4)  # a token of space alone says space
    assert not overlaps(text, (0, 2), 2, 9)
