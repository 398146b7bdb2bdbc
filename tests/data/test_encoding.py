"""Encoding in parts: whatever the size of a part, the tokens are those of the text as a whole."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncompare.data import cache as cache_module
from attncompare.data import corpus as corpus_module
from attncompare.data import encoding
from attncompare.data.cache import cache_folder, cached_arrays, in_memory
from attncompare.data.corpus import corpus
from attncompare.data.dataset import TokenizerConfig
from attncompare.data.encoding import EncodedCorpus, TokenRows, encode_lines
from attncompare.data.kinds.text import encode_stream
from attncompare.data.tokenizer import BOS, EOS, Tokenizer

WORDS = ["to be, or not\tto be", "that\n\n  is 12345 ", "größer — als 1.234,5 €", "二千二十四年三月", " x"]
TOKENIZERS = {
    kind: Tokenizer.train(
        lambda: WORDS, TokenizerConfig(kind=kind, vocab_size=size, min_count=1, bytes=None, joint=True)
    )
    for kind, size in {"word": None, "character": None, "bpe": 300}.items()
}


def pieces_of(documents, piece=2**15, longest=2**16):
    """Return the pieces of documents that are read some bytes at a time."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"_PIECE": piece, "_LONGEST_PIECE": longest, "_BATCH_BYTES": 5}.items():
            patched.setattr(corpus_module, name, value)
        return list(corpus({"train": {"text": documents}}, stream=True).pieces("train", "text"))


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(document=st.text("ab 1\n\t,.é二。\x1c\x85\u2028", max_size=60), piece=st.integers(1, 9))
def test_a_long_document_in_pieces_has_the_same_tokens(kind, document, piece):
    tokenizer, parts = TOKENIZERS[kind], pieces_of([document, "ab"], piece)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cache_module, "_PORTION", 7)
        found = in_memory(encode_stream(parts, tokenizer))
    assert "".join(text for text, _ in parts) == document + "ab"
    whole = [tokenizer.encode(text).ids for text in (document, "ab")]
    assert found["ids"].tolist() == [BOS, *whole[0], EOS, *whole[1], EOS]
    assert found["ends"].tolist() == [len(whole[0]) + 2, len(whole[0]) + len(whole[1]) + 3]
    assert found["bytes"].sum() == len(document.encode()) + 2


def test_a_document_is_really_cut():
    assert [len(text) for text, _ in pieces_of(["word " * 10], piece=10)] == [14, 10, 10, 10, 6]


@given(st.text("ab é二。", max_size=60), st.integers(1, 9), st.integers(1, 9))
def test_no_piece_is_long_even_where_no_place_is_fit_to_cut(document, piece, more):
    texts = pieces_of([document], piece, piece + more)
    assert "".join(text for text, _ in texts) == document
    assert max(len(text) for text, _ in texts) <= piece + more
    assert [last for _, last in texts] == [False] * (len(texts) - 1) + [True]


@given(st.lists(st.text("ab ", max_size=12), max_size=20), st.integers(1, 30))
def test_lines_in_portions_are_the_lines(lines, portion):
    tokenizer = TOKENIZERS["character"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cache_module, "_PORTION", portion)
        found = in_memory(encode_lines(zip(lines), tokenizer))
    rows = TokenRows(found["ids"], found["ends"], 100)
    assert [rows[row].tolist() for row in range(len(rows))] == [tokenizer.encode(line).ids for line in lines]
    assert rows.lengths.tolist() == [len(tokenizer.encode(line).ids) for line in lines]


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=12), st.integers(1, 7), st.data())
def test_what_is_seen_of_rows_is_what_rows_show(rows, longest, data):
    kept = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1))))
    flat, ends = np.array(list(chain.from_iterable(rows)), dtype=np.int32), np.cumsum([len(row) for row in rows])
    found = TokenRows(flat, ends, longest, before=(7,))
    seen = [int(flat[place]) for places in found.seen(np.array(kept, dtype=np.int32)) for place in places]
    assert seen == [number for row in kept for number in found[row][1:]]


@pytest.fixture
def text(empty_cache):
    splits = {split: {"source": WORDS * 5, "target": WORDS[::-1] * 5} for split in ("train", "val", "test")}
    return corpus(splits)


def arrays(text, **changes):
    options = {"fingerprint": "print", "split": "train", "column": "source", "kind": "bpe", **changes}
    told = []
    found = EncodedCorpus(text, options["fingerprint"], told.append)
    return found.arrays(options["split"], [options["column"]], TOKENIZERS[options["kind"]], encode_lines), told


def test_a_large_corpus_is_encoded_once_for_all_runs_and_tells_how_far_it_is(text, empty_cache, monkeypatch):
    small, told = arrays(text)
    assert told == [] and not empty_cache.exists()
    monkeypatch.setattr(encoding, "_LARGE", 1)
    large, told = arrays(text)
    again, told_again = arrays(text)
    assert told[0] == "encoding train, source, 0 %" and told_again == []
    for name in small:
        assert small[name].tolist() == large[name].tolist() == again[name].tolist()
        assert small[name].dtype == large[name].dtype


@pytest.mark.parametrize("change", [{"fingerprint": "x"}, {"split": "val"}, {"column": "target"}, {"kind": "word"}])
def test_other_text_or_another_tokenizer_is_encoded_apart(text, change, monkeypatch):
    monkeypatch.setattr(encoding, "_LARGE", 1)
    arrays(text)
    assert len(list(cache_folder().iterdir())) == 1
    arrays(text, **change)
    assert len(list(cache_folder().iterdir())) == 2


def test_the_vocabulary_of_a_large_corpus_is_learned_once(text, monkeypatch):
    config = TokenizerConfig(kind="bpe", vocab_size=290, min_count=1, bytes=None, joint=True)
    monkeypatch.setattr(encoding, "_LARGE", 1)
    told = []
    corpora = [EncodedCorpus(text, "print", told.append) for _ in range(2)]
    found = [one.tokenizer(["source", "target"], config).to_text() for one in corpora]
    assert found[0] == found[1] == Tokenizer.train(lambda: WORDS * 10, config).to_text()
    assert told == ["learning the vocabulary of the train split"]
    for columns, size in ((["source"], 290), (["source", "target"], 280)):
        corpora[0].tokenizer(columns, config.model_copy(update={"vocab_size": size}))
    assert len(list(cache_folder().iterdir())) == 3


PARTS = [
    {"ids": np.array([], dtype=np.uint16), "ends": np.array([], dtype=np.int64)},
    {"ids": np.array([5, 6, 7], dtype=np.uint16), "ends": np.array([2, 3], dtype=np.int64)},
    {"ids": np.array([65535], dtype=np.uint16), "ends": np.array([4], dtype=np.int64)},
]


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        assert one[name].tolist() == other[name].tolist()


@pytest.mark.parametrize("count", [1, 3])
def test_arrays_are_made_once_and_mapped(count, empty_cache):
    same(cached_arrays("key", lambda: iter(PARTS[:count])), in_memory(PARTS[:count]))
    found = cached_arrays("key", lambda: pytest.fail("it was there already"))
    same(found, in_memory(PARTS[:count]))
    assert not found["ids"].flags.writeable or count == 1
    assert len(list(empty_cache.iterdir())) == 1


@pytest.mark.parametrize(("file", "content"), [("ids", b"\5\0"), ("ends", None), ("header.json", b"{")])
def test_what_a_cleaner_damaged_is_made_anew(file, content, empty_cache):
    cached_arrays("key", lambda: PARTS)
    (folder,) = empty_cache.iterdir()
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    same(cached_arrays("key", lambda: PARTS), in_memory(PARTS))
    assert list(empty_cache.iterdir()) == [folder]


def test_what_fails_halfway_leaves_nothing(empty_cache):
    def failing():
        yield PARTS[0]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cached_arrays("key", failing)
    assert list(empty_cache.iterdir()) == []


def test_of_two_that_make_it_at_once_the_first_to_end_counts(empty_cache):
    def slow():
        yield PARTS[0]
        cached_arrays("key", lambda: PARTS)
        yield from PARTS[1:]

    same(cached_arrays("key", slow), in_memory(PARTS))
    assert len(list(empty_cache.iterdir())) == 1
