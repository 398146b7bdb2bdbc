"""Encoded splits: padding, windows, lengths and bytes; and windows that overlap (``task.eval_stride``)."""

import math
from itertools import chain

import pytest
import torch
from commands import SMOKE
from dataset_configs import same_batch

from attncompare.data.cache import in_memory
from attncompare.data.dataset import TokenizerConfig
from attncompare.data.encoding import encode_lines
from attncompare.data.kinds.parallel import PairSet
from attncompare.data.kinds.text import RowSet, StreamSet, encode_rows, encode_stream
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import BOS, EOS, PAD, Tokenizer
from attncompare.errors import Refused
from attncompare.tasks import build_task
from attncompare.tasks.language_model import LanguageModel

DOCUMENTS = ["Ein größerer Text, mit Umlauten.", "a", "", "Some more text\nover two lines.", "€uro — 1.234"] * 3
LENGTH = 12


def trained(texts, kind, size=None):
    config = TokenizerConfig(kind=kind, vocab_size=size, min_count=1, bytes=None, joint=True)
    return Tokenizer.train(lambda: texts, config)


BPE, LETTERS = trained(DOCUMENTS, "bpe", 290), trained(DOCUMENTS, "character")
WORD = trained(["a b c d", " a b c d"], "word")


def flat(lists):
    return list(chain.from_iterable(lists))


def ids(text):
    return WORD.encode(text).ids


def pair_set(sources, targets, max_length, cut):
    return PairSet(*(in_memory(encode_lines(zip(side), WORD)) for side in (sources, targets)), max_length, cut)


def row_set(texts, spans, max_length, cut):
    return RowSet(in_memory(encode_rows(zip(texts, *spans, strict=True), WORD)), max_length, cut)


def stream_set(documents, max_length):
    return StreamSet(in_memory(encode_stream([(text, True) for text in documents], BPE)), max_length)


def stream_of(letters, stride):
    return StreamSet(in_memory(encode_stream([("".join(DOCUMENTS)[:letters], True)], LETTERS)), LENGTH, stride)


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
    rows = row_set(texts, [[[[7, 8]], []]], 10, cut=False)
    batch = rows[[0, 1]]
    assert batch.input_BT[0].tolist() == [BOS, *ids(" a b c")]
    assert batch.target_BT[0].tolist() == ids(" a b c b")
    assert batch.scored_BT.tolist() == [[False, False, False, True], [False] * 4]
    assert batch.bytes_BT[batch.scored_BT].tolist() == [2]  # the token " b"
    assert batch.item_BT[batch.scored_BT].tolist() == [0]
    assert rows.counts()["scored_tokens"] == 1


def test_rows_without_spans_count_whole():
    batch = row_set(["a b", "a"], [], 10, cut=False)[[0, 1]]
    assert batch.scored_BT.tolist() == [[True, True], [True, False]]
    assert batch.bytes_BT.tolist() == [[1, 2], [1, 0]]


def test_long_rows_are_left_out_of_training_and_cut_elsewhere():
    texts, spans = ["a b c d", "a b"], [[[[0, 1], [6, 7]], [[2, 3]]]]
    train = row_set(texts, spans, 3, cut=False)
    assert (train.kept.tolist(), train.left_out, train.truncated) == ([1], 1, 0)
    val = row_set(texts, spans, 3, cut=True)
    assert (val.kept.tolist(), val.left_out, val.truncated) == ([0, 1], 0, 1)
    batch = val[[0]]
    assert batch.target_BT.tolist() == [ids("a b c")]
    assert batch.scored_BT.tolist() == [[True, False, False]]
    assert batch.bytes_BT[batch.scored_BT].tolist() == [1]


@pytest.mark.parametrize("letters", [1, 2, 11, 12, 13, 24, 25, 100])
@pytest.mark.parametrize("stride", [1, 5, 11, 12])
def test_every_target_is_scored_once_and_none_without_need(letters, stride):
    stream, found = stream_of(letters, stride), []
    for starts in stream.fixed_plan(3):
        batch = stream[starts]
        assert batch.scored_BT.any(dim=1).all()  # no window in vain
        assert not batch.scored_BT[batch.target_BT == PAD].any()
        for start, scored_T in zip(starts, batch.scored_BT, strict=True):
            found += [start + 1 + place for place in scored_T.nonzero().flatten().tolist()]
            # All but the first window read at least what lies between stride and length before they score.
            assert start == 0 or int(scored_T.nonzero()[0]) == LENGTH - stride
    assert found == list(range(1, len(stream.ids)))


def test_a_stride_of_the_whole_length_is_none_and_training_does_not_see_any():
    one, other = stream_of(100, LENGTH), stream_of(100, None)
    starts = list(range(0, len(one.ids) - 1, LENGTH))
    assert list(one.fixed_plan(3)) == list(other.fixed_plan(3)) == [starts[i : i + 3] for i in range(0, len(one), 3)]
    assert all(same_batch(one[starts], other[starts]) for starts in one.fixed_plan(3))
    assert list(stream_of(100, 1).train_plan(1, 0, 4)) == list(other.train_plan(1, 0, 4))


@pytest.mark.parametrize("stride", [1, 5, 12])
def test_the_loss_is_that_of_a_loop_over_the_tokens(make_config, stride):
    config = make_config(
        "task=language_model", f"task.max_length={LENGTH}", "backbone.d_model=16", "task.sample_prompts=[]"
    )
    task, stream = LanguageModel(config, LETTERS).eval(), stream_of(60, stride)
    with torch.no_grad():
        for starts in stream.fixed_plan(4):
            task.metrics.update(**task.evaluate_batch(stream[starts], "val"))
    found = {name: metric.compute().item() for name, metric in task.metrics.items()}
    ids, nats, seen = torch.from_numpy(stream.ids.astype("int64")), [], 0
    for start in range(0, len(ids), stride):
        for target in range(max(start, seen) + 1, min(start + LENGTH, len(ids) - 1) + 1):
            with torch.no_grad():
                logits_V = task.model(ids[None, start:target]).logits_BTV[0, -1]
            nats.append(-logits_V.log_softmax(-1)[ids[target]].item())
            seen = target
    assert len(nats) == len(ids) - 1
    assert found["loss"] == pytest.approx(sum(nats) / len(nats), rel=1e-6)
    assert found["perplexity"] == pytest.approx(math.exp(sum(nats) / len(nats)), rel=1e-5)
    shown = len("".join(DOCUMENTS)[:60].encode())
    assert found["bits_per_byte"] == pytest.approx(sum(nats) / math.log(2) / shown, rel=1e-5)
    (row,) = task.item_rows()
    assert row["loss"][1] == len(nats) and row["bits_per_byte"][1] == shown


def test_probes_do_not_depend_on_it(make_config, tmp_path):
    (tmp_path / "input.txt").write_text("".join(DOCUMENTS) * 30)
    overrides = ("task=language_model", "task.max_length=32", "data=tinyshakespeare", f"data.path={tmp_path}")
    modules = [DataModule(make_config(*overrides, f"task.eval_stride={stride}")) for stride in ("null", 8)]
    one, other = ([probe.target_ids for probe in module.probes(3)] for module in modules)
    assert one == other
    batches = [len(module.val_dataloader()) for module in modules]
    assert batches[1] >= 3 * batches[0]


def test_where_it_can_mean_nothing_it_is_refused(make_config):
    with pytest.raises(Refused, match=r"eval_stride=65 is more than max_length=64"):
        make_config("task=language_model", "task.eval_stride=65")
    config = make_config(*SMOKE[:2], "task=language_model", "data=recall", "task.eval_stride=4", "data.train_size=20")
    with pytest.raises(Refused, match=r"task.eval_stride=4: data=recall has rows that stand for themselves"):
        DataModule(config).prepare()


@pytest.mark.parametrize(
    "data", [("data=recall", "data.length=24", "data.pairs=2"), ("data=pydocs", "task.eval_stride=16")], ids=str
)
def test_all_targets_count_but_those_that_a_prefix_shows_to_the_query_that_predicts_them(make_config, data):
    options = (*SMOKE[:2], "task=language_model", *data, "backbone.layers=1", "task.max_length=32")
    batches, tasks = {}, {}
    for variant in ("scaled", "prefix"):
        config = make_config(*options, f"attention={variant}")
        module = DataModule(config)
        module.prepare()
        tasks[variant] = build_task(config, module.tokenizer).eval()
        batches[variant] = next(iter(module.val_dataloader()))
    batch, all_BT = batches["prefix"], batches["scaled"].scored_BT
    assert torch.equal(batch.input_BT, batches["scaled"].input_BT)
    with torch.no_grad():
        before_BTV = tasks["prefix"].model(batch.input_BT).logits_BTV
        for t in range(12):
            changed_BT = batch.input_BT.clone()
            changed_BT[:, t + 1] = (changed_BT[:, t + 1] + 1) % before_BTV.shape[2]
            seen_B = (tasks["prefix"].model(changed_BT).logits_BTV[:, t] != before_BTV[:, t]).any(-1)
            assert torch.equal(batch.scored_BT[:, t], all_BT[:, t] & ~seen_B)
