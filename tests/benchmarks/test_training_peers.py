import math
import sys

import pytest
import torch
from torch import nn

from attncompare.bench.contender import LeftOut
from attncompare.bench.peers.gpt2 import Gpt2
from attncompare.bench.peers.handwritten import HandwrittenDecoder, HandwrittenTranslator
from attncompare.bench.peers.installed import INSTALL
from attncompare.bench.peers.marian import Marian
from attncompare.bench.peers.sizes import Sizes, require_equal_size
from attncompare.bench.peers.torch_stack import TorchStack
from attncompare.bench.peers.x_decoder import XDecoder
from attncompare.data.batches import PairBatch, TextBatch
from attncompare.data.tokenizer import PAD
from attncompare.errors import RunFailed
from attncompare.tasks import build_task

SIZES = Sizes(vocab_size=50, max_length=16, d_model=64, layers=2, d_ff=256, heads=4, dropout=0.0, smoothing=0.1)
DECODERS = (HandwrittenDecoder, Gpt2, XDecoder)
TRANSLATORS = (HandwrittenTranslator, Marian, TorchStack)


def text_batch():
    ids_BT = torch.randint(4, 50, (3, 11), generator=torch.Generator().manual_seed(1))
    everything = torch.ones(3, 10, dtype=torch.bool)
    return TextBatch(ids_BT[:, :-1], ids_BT[:, 1:], everything, everything.long(), everything.long())


def pair_batch(padding=0):
    generator = torch.Generator().manual_seed(1)
    source_BS, target_BT = (torch.randint(4, 50, (3, length), generator=generator) for length in (7, 9))
    fill = torch.full((3, padding), PAD)
    return PairBatch(torch.cat((source_BS, fill), 1), torch.cat((target_BT, fill), 1), torch.arange(3))


def made(peer):
    torch.manual_seed(1)
    try:
        return peer(SIZES)
    except LeftOut as reason:
        pytest.skip(str(reason))


def loss_of(model, batch):
    return model.loss(batch).item()


@pytest.mark.parametrize("peer", DECODERS)
def test_a_decoder_learns_from_a_loss_that_begins_near_that_of_guessing(peer):
    model = made(peer).train()
    loss = model.loss(text_batch())
    assert abs(loss.item() - math.log(50)) < 1
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("peer", TRANSLATORS)
def test_padding_changes_no_loss_of_a_translator(peer):
    """Neither that of the source nor that of the target, which stands where the future would."""
    model = made(peer).train()  # in evaluation mode torch's encoder would take another path
    assert loss_of(model, pair_batch(padding=4)) == pytest.approx(loss_of(model, pair_batch()), rel=1e-4)


@pytest.mark.parametrize("peer", TRANSLATORS)
def test_a_translator_reads_its_source(peer):
    model, batch = made(peer).train(), pair_batch()
    other = batch._replace(source_BS=batch.source_BS.flip(1))
    assert loss_of(model, batch) != loss_of(model, other)


@pytest.mark.parametrize("peer", DECODERS)
def test_a_decoder_sees_nothing_that_comes_later(peer):
    model, batch = made(peer).train(), text_batch()
    first_BT = batch.target_BT.clone()
    first_BT[:, 4:] = -100  # torch's loss leaves these out
    other_BT = batch.input_BT.clone()
    other_BT[:, 4:] = other_BT[:, 4:].flip(1)
    losses = [loss_of(model, batch._replace(input_BT=ids, target_BT=first_BT)) for ids in (batch.input_BT, other_BT)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] != pytest.approx(loss_of(model, batch), rel=1e-5)


def test_models_that_are_not_of_equal_size_are_no_comparison():
    require_equal_size(nn.Linear(100, 100), {"nearly": nn.Linear(99, 101)})
    with pytest.raises(RunFailed, match=r"larger has 10,403 parameters.*10,100"):
        require_equal_size(nn.Linear(100, 100), {"larger": nn.Linear(102, 101)})


@pytest.mark.parametrize(
    ("peer", "module"), [(Gpt2, "transformers"), (Marian, "transformers"), (XDecoder, "x_transformers")]
)
def test_a_library_that_is_not_there_is_named_with_what_installs_it(peer, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LeftOut, match=f"{module}.*{INSTALL.replace('[', '.').replace(']', '.')}"):
        peer(SIZES)


@torch.no_grad()
def test_the_hand_written_decoder_is_our_model(make_config):
    """With our weights it has our loss."""
    config = make_config(
        *("experiment=nanogpt_cpu", "data=recall", "backbone.d_model=64", "backbone.layers=2", "backbone.d_ff=256"),
        *("attention.heads=4", "task.max_length=16", "task.eval_stride=null", "task.sample_prompts=[]"),
    )

    class Fifty:
        vocab_size = 50

    ours = build_task(config, Fifty()).model
    theirs = made(HandwrittenDecoder)
    theirs.tokens.weight.copy_(ours.embedding.tokens.weight)
    theirs.positions.weight.copy_(ours.embedding.positions.weight)
    for block, other in zip(ours.decoder, theirs.blocks, strict=True):
        attention = block.self_attention
        projections = (attention.query, attention.key, attention.value)
        other.attention.projections.weight.copy_(torch.cat([one.weight for one in projections]))
        other.attention.output.weight.copy_(attention.output.weight)
        other.inner.weight.copy_(block.feed_forward.inner.weight)
        other.outer.weight.copy_(block.feed_forward.outer.weight)
    batch = text_batch()
    logits_BTV = ours(batch.input_BT).logits_BTV
    expected = nn.functional.cross_entropy(logits_BTV.flatten(0, 1), batch.target_BT.flatten())
    assert theirs.loss(batch).item() == pytest.approx(expected.item(), rel=1e-5)
