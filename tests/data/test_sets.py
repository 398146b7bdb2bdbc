"""Encoded splits: padding, windows, lengths and bytes."""

from itertools import chain

import pytest
import torch

from attncompare.data.cache import in_memory
from attncompare.data.dataset import TokenizerConfig
from attncompare.data.encoding import PairSet, RowSet, StreamSet, encode_lines, encode_rows, encode_stream
from attncompare.data.tokenizer import BOS, EOS, PAD, Tokenizer

DOCUMENTS = ["Ein größerer Text, mit Umlauten.", "a", "", "Some more text\nover two lines.", "€uro — 1.234"] * 3
BPE = Tokenizer.train(DOCUMENTS, TokenizerConfig(kind="bpe", vocab_size=290, min_count=1, bytes=None, joint=True))
WORD = Tokenizer.train(
    ["a b c d", " a b c d"], TokenizerConfig(kind="word", vocab_size=None, min_count=1, bytes=None, joint=True)
)


def flat(lists):
    return list(chain.from_iterable(lists))


def ids(text):
    return WORD.encode(text).ids


def pair_set(sources, targets, max_length, cut):
    return PairSet(*(in_memory(encode_lines(side, WORD)) for side in (sources, targets)), max_length, cut)


def row_set(texts, spans, max_length, cut):
    return RowSet(in_memory(encode_rows(zip(texts, spans, strict=True), WORD)), max_length, cut)


def stream_set(documents, max_length):
    return StreamSet(in_memory(encode_stream(documents, BPE)), max_length)


def test_pairs_are_framed_and_padded():
    pairs = pair_set(["a b", "a"], ["c", "c d a"], 10, cut=False)
    source_BS, target_BT, index_B, *_ = pairs[[1, 0]]
    assert source_BS.tolist() == [[*ids("a"), EOS, PAD], [*ids("a b"), EOS]]
    assert target_BT.tolist() == [[BOS, *ids("c d a"), EOS], [BOS, *ids("c"), EOS, PAD, PAD]]
    assert index_B.tolist() == [1, 0]
    assert source_BS.dtype == target_BT.dtype == index_B.dtype == torch.int64


def test_long_pairs_are_left_out_of_training_and_cut_elsewhere():
    sources, targets = ["a b c d", "a b", "a"], ["a", "a b", "a b c d"]
    train = pair_set(sources, targets, 3, cut=False)
    assert (train.kept.tolist(), train.left_out, train.truncated) == ([1], 2, 0)
    assert list(train.train_plan(1, 0, 8)) == [[1]]
    val = pair_set(sources, targets, 3, cut=True)
    assert (val.kept.tolist(), val.left_out, val.truncated) == ([0, 1, 2], 0, 2)
    assert val[[0]].source_BS.tolist() == [[*ids("a b"), EOS]]
    assert val[[2]].target_BT.tolist() == [[BOS, *ids("a b"), EOS]]
    assert list(val.fixed_plan(2)) == [[0, 1], [2]]


@pytest.mark.parametrize("max_length", [2, 7, 16, 1000])
def test_fixed_windows_predict_every_token_once(max_length):
    stream = stream_set(DOCUMENTS, max_length)
    targets, inputs, items, total = [], [], [], 0
    for starts in stream.fixed_plan(3):
        batch = stream[starts]
        assert not batch.scored_BT[batch.target_BT == PAD].any()
        targets += batch.target_BT[batch.scored_BT].tolist()
        inputs += batch.input_BT[batch.scored_BT].tolist()
        total += int(batch.bytes_BT[batch.scored_BT].sum())
        items += batch.item_BT[batch.scored_BT].tolist()
    assert items == [n for n, text in enumerate(DOCUMENTS) for _ in (*BPE.encode(text).ids, EOS)]
    assert targets == [i for text in DOCUMENTS for i in (*BPE.encode(text).ids, EOS)]
    assert inputs == [BOS, *targets[:-1]]
    assert total == sum(len(text.encode()) for text in DOCUMENTS)
    assert stream.counts()["bytes"] == total
    assert stream.counts()["tokens"] == len(targets)


def test_training_windows_are_full_and_move_with_the_epoch():
    stream = stream_set(DOCUMENTS, 16)
    plans = [stream.train_plan(1, epoch, 3) for epoch in range(8)]
    assert len({len(plan) for plan in plans}) == 1
    offsets = set()
    for plan in plans:
        starts = sorted(flat(plan))
        offsets.add(starts[0])
        assert starts == list(range(starts[0], starts[0] + 16 * len(starts), 16))
        for keys in plan:
            batch = stream[keys]
            assert batch.input_BT.shape == (len(keys), 16)
            assert batch.scored_BT.all()
            assert torch.equal(batch.input_BT[:, 1:], batch.target_BT[:, :-1])
    assert len(offsets) > 3
    assert list(plans[0]) == list(stream.train_plan(1, 0, 3)) != list(stream.train_plan(2, 0, 3))


def test_only_scored_symbols_of_a_row_count():
    texts = [" a b c b", " d d"]
    rows = row_set(texts, [[[7, 8]], []], 10, cut=False)
    batch = rows[[0, 1]]
    assert batch.input_BT[0].tolist() == [BOS, *ids(" a b c")]
    assert batch.target_BT[0].tolist() == ids(" a b c b")
    assert batch.scored_BT.tolist() == [[False, False, False, True], [False] * 4]
    assert batch.bytes_BT[batch.scored_BT].tolist() == [2]  # the token " b"
    assert batch.item_BT[batch.scored_BT].tolist() == [0]
    assert rows.counts()["scored_tokens"] == 1


def test_rows_without_spans_count_whole():
    batch = row_set(["a b", "a"], [None, None], 10, cut=False)[[0, 1]]
    assert batch.scored_BT.tolist() == [[True, True], [True, False]]
    assert batch.bytes_BT.tolist() == [[1, 2], [1, 0]]


def test_long_rows_are_left_out_of_training_and_cut_elsewhere():
    texts, spans = ["a b c d", "a b"], [[[0, 1], [6, 7]], [[2, 3]]]
    train = row_set(texts, spans, 3, cut=False)
    assert (train.kept.tolist(), train.left_out, train.truncated) == ([1], 1, 0)
    val = row_set(texts, spans, 3, cut=True)
    assert (val.kept.tolist(), val.left_out, val.truncated) == ([0, 1], 0, 1)
    batch = val[[0]]
    assert batch.target_BT.tolist() == [ids("a b c")]
    assert batch.scored_BT.tolist() == [[True, False, False]]
    assert batch.bytes_BT[batch.scored_BT].tolist() == [1]
