"""Windows that overlap (``task.eval_stride``): every token is scored once, with more of the text before it."""

import math

import pytest
import torch
from commands import SMOKE
from dataset_configs import same_batch

from attncompare.data.cache import in_memory
from attncompare.data.dataset import TokenizerConfig
from attncompare.data.encoding import StreamSet, encode_stream
from attncompare.data.module import DataModule
from attncompare.data.tokenizer import PAD, Tokenizer
from attncompare.errors import Refused
from attncompare.tasks.language_model import LanguageModel

DOCUMENTS = ["Ein größerer Text, mit Umlauten.", "a", "", "Some more text\nover two lines.", "€uro — 1.234"] * 3
LENGTH = 12
TOKENIZER = Tokenizer.train(
    DOCUMENTS, TokenizerConfig(kind="character", vocab_size=None, min_count=1, bytes=None, joint=True)
)


def stream_of(letters, stride, length=LENGTH):
    return StreamSet(in_memory(encode_stream(["".join(DOCUMENTS)[:letters]], TOKENIZER)), length, stride)


@pytest.mark.parametrize("letters", [1, 2, 10, 11, 12, 13, 22, 23, 24, 25, 100])
@pytest.mark.parametrize("stride", [1, 2, 5, 11, 12])
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


@pytest.mark.parametrize("letters", [1, 11, 12, 13, 24, 100])
def test_a_stride_of_the_whole_length_is_none(letters):
    one, other = stream_of(letters, LENGTH), stream_of(letters, None)
    starts = list(range(0, len(one.ids) - 1, LENGTH))
    expected = [starts[first : first + 3] for first in range(0, len(one), 3)]
    assert list(one.fixed_plan(3)) == list(other.fixed_plan(3)) == expected
    for starts in one.fixed_plan(3):
        assert same_batch(one[starts], other[starts])


def test_training_does_not_see_it():
    one, other = stream_of(100, 1), stream_of(100, None)
    assert list(one.train_plan(1, 0, 4)) == list(other.train_plan(1, 0, 4))


@pytest.mark.parametrize("stride", [1, 5, 12])
def test_the_loss_is_that_of_a_loop_over_the_tokens(make_config, stride):
    config = make_config(
        "task=language_model", f"task.max_length={LENGTH}", "backbone.d_model=16", "task.sample_prompts=[]"
    )
    task, stream = LanguageModel(config, TOKENIZER).eval(), stream_of(60, stride)
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
    assert found["loss"] == pytest.approx(sum(nats) / len(nats), rel=1e-5)
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
