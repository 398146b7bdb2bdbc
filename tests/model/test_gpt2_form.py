"""Without biases, without scaled embeddings: the model is that of nanoGPT, written here again from its source."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from commands import SMOKE
from torch import nn
from variants import VARIANTS, make_decoder_only, make_encoder_decoder

from attncompare.data.module import DataModule
from attncompare.tasks import build_task


@pytest.fixture
def gpt2_size(size):
    return dataclasses.replace(size, positions="learned", bias=False, scale_embedding=False)


def nanogpt(weights, tokens_BT, layers, heads):
    """Return the logits of nanoGPT's ``GPT.forward`` with bias=False (model.py), from the parameters of ours by name."""

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"])

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T

    T = tokens_BT.shape[1]
    x = weights["embedding.tokens.weight"][tokens_BT] + weights["embedding.positions.weight"][:T]
    for layer in range(layers):
        block = f"decoder.{layer}"
        read = norm(x, f"{block}.self_norm")
        q, k, v = (
            linear(read, f"{block}.self_attention.{part}").unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(torch.ones(T, T).tril() == 0, float("-inf")).softmax(-1)
        x = x + linear((att @ v).transpose(1, 2).flatten(2), f"{block}.self_attention.output")
        inner = F.gelu(linear(norm(x, f"{block}.feed_forward_norm"), f"{block}.feed_forward.inner"))
        x = x + linear(inner, f"{block}.feed_forward.outer")
    return norm(x, "decoder_norm") @ weights["embedding.tokens.weight"].T


def test_the_decoder_is_nanogpt(gpt2_size, tokens):
    model = make_decoder_only("scaled", gpt2_size, heads=4, bias=False)
    weights, input_BT = dict(model.named_parameters()), tokens(3, 11)
    expected = nanogpt(weights, input_BT, gpt2_size.layers, 4)
    torch.testing.assert_close(model(input_BT).logits_BTV, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [make_encoder_decoder, make_decoder_only])
@pytest.mark.parametrize("variant", VARIANTS)
def test_without_bias_no_part_has_one(make, variant, gpt2_size):
    model = make(variant, gpt2_size, heads=2, bias=False)
    names = [name for name, _ in model.named_parameters()]
    assert names and not [name for name in names if name.endswith("bias")]


def task_of(config):
    data = DataModule(config)
    data.prepare()
    return build_task(config, data.tokenizer)


@pytest.mark.parametrize("decayed", [True, False])
def test_embeddings_are_decayed_where_that_is_asked_for(make_config, decayed):
    config = make_config(
        *(*SMOKE, "backbone.positions=learned", "optimizer.weight_decay=0.1", "optimizer.eps=1e-6"),
        f"optimizer.decay_embeddings={str(decayed).lower()}",
    )
    task = task_of(config)
    optimizer = task.configure_optimizers()["optimizer"]
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(groups) == len(list(task.parameters()))
    for module in task.modules():
        if isinstance(module, nn.Embedding):
            assert groups[id(module.weight)]["weight_decay"] == (0.1 if decayed else 0.0)
        if isinstance(module, nn.Linear):
            assert groups[id(module.weight)]["weight_decay"] == 0.1
            assert groups[id(module.bias)]["weight_decay"] == 0.0
    assert {group["eps"] for group in optimizer.param_groups} == {1e-6}


def test_a_config_chooses_the_form(make_config):
    form = ("backbone.bias=false", "backbone.init=gpt2", "backbone.scale_embedding=false", "backbone.positions=learned")
    one, plain = task_of(make_config(*SMOKE, *form)), task_of(make_config(*SMOKE, "backbone.positions=learned"))
    assert not [name for name, _ in one.named_parameters() if name.endswith("bias")]
    assert one.model.embedding.tokens.weight.std().item() == pytest.approx(0.02, rel=0.15)
    tokens_BT = torch.tensor([[4, 5]])
    for task, scale in ((one, 1.0), (plain, 4.0)):  # d_model is 16
        embedding = task.model.eval().embedding
        expected = embedding.tokens.weight[tokens_BT] * scale + embedding.positions.weight[:2]
        assert torch.equal(embedding(tokens_BT), expected)
