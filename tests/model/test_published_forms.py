"""The forms of BERT, GPT-2 and T5 in conf/experiment: at published sizes they have the published numbers of parameters."""

import pytest
import torch
import torch.nn.functional as F
from commands import composed_config
from variants import attention_arguments

from attncompare.attention import Attention
from attncompare.model import Vocabulary, new_model, parameter_count


def published(experiment, tokens, sizes):
    """Return the model of an experiment with other sizes, without memory for its parameters."""
    overrides = [f"{key}={value}" for key, value in sizes.items()]
    config = composed_config("runs", [f"experiment={experiment}", *overrides])

    def make_attention(site="decoder", layer=1):
        arguments = attention_arguments(config.attention_at(site, layer))
        return Attention(config.backbone.d_model, **arguments, bias=config.backbone.bias, layer=layer)

    architecture, vocabulary = config.task_class.architecture, Vocabulary(tokens, config.task.max_length)
    with torch.device("meta"):
        return new_model(architecture, config.backbone, vocabulary, make_attention)


def sizes(d_model, layers, d_ff, heads, length):
    names = ("backbone.d_model", "backbone.layers", "backbone.d_ff", "attention.heads", "task.max_length")
    return dict(zip(names, (d_model, layers, d_ff, heads, length), strict=True))


def test_bert_base_without_segments_and_pooler():
    model = published("bert", 30_522, sizes(768, 12, 3072, 12, 512))
    segments, pooler = 2 * 768, 768 * 768 + 768
    assert parameter_count(model) == 109_482_240 - segments - pooler


def test_the_smallest_gpt2():
    assert parameter_count(published("gpt2", 50_257, sizes(768, 12, 3072, 12, 1024))) == 124_439_808


def test_t5_small_but_for_the_distances_that_its_layers_share():
    model = published("t5", 32_128, sizes(512, 6, 2048, 8, 512))
    table = 8 * 32  # heads times buckets: one in each of 12 self-attentions, where T5 has one in each of 2 stacks
    assert parameter_count(model) == 60_506_624 + (12 - 2) * table


def test_t5_1_1_small_is_gated():
    changes = {"backbone.gated": "true", "backbone.activation": "gelu_tanh", "attention.head_dim": 64}
    model = published("t5", 32_128, {**sizes(512, 8, 1024, 6, 512), **changes})
    output = 32_128 * 512  # version 1.1 has an output matrix of its own
    assert parameter_count(model) == 76_961_152 - output + (16 - 2) * 6 * 32


@pytest.mark.parametrize("order", ["pre", "post"])
def test_norms_stand_where_their_order_says(order):
    """The stream of two layers, written again from the papers: Xiong et al. 2020, figure 1; Devlin et al. 2018's embeddings."""
    config = composed_config("runs", ["experiment=bert", f"backbone.norm_order={order}", "backbone.dropout=0"])
    vocabulary = Vocabulary(20, 8)
    model = new_model("encoder_only", config.backbone, vocabulary, lambda *_: Attention(64, heads=4))
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if "norm.weight" in name else 0.0, std=0.2)
    source_BS = torch.tensor([[4, 5, 6], [7, 8, 9]])
    x_BSD = model.embedding.tokens.weight[source_BS] + model.embedding.positions.weight[:3]
    x_BSD = model.embedding.norm(x_BSD) if order == "post" else x_BSD
    for block in model.encoder:
        for norm, layer in (
            (block.self_norm, lambda x, block=block: block.self_attention(x)[0]),
            (block.feed_forward_norm, lambda x, part=block.feed_forward: part.outer(F.gelu(part.inner(x)))),
        ):
            x_BSD = norm(x_BSD + layer(x_BSD)) if order == "post" else x_BSD + layer(norm(x_BSD))
    x_BSD = x_BSD if order == "post" else model.encoder_norm(x_BSD)
    torch.testing.assert_close(model(source_BS).logits_BTV, x_BSD @ model.embedding.tokens.weight.T)
