"""The cost formulas against torch's own counter, and parameters against what a reader of the paper would add up."""

import dataclasses

import pytest
from torch.utils.flop_counter import FlopCounterMode
from variants import VARIANTS, make_decoder_only, make_encoder_decoder

from attncompare.attention import Attention
from attncompare.model import Lengths, parameter_count, train_flops_per_token

S, T = 9, 7
BOTH = pytest.mark.parametrize("make", [make_encoder_decoder, make_decoder_only])
HEADS = pytest.mark.parametrize("heads", [1, 3])
PLAIN = pytest.mark.parametrize("variant", ["additive", "dot", "scaled"])  # each module by itself: tests/attention


def counted(make, variant, size, heads, tokens, backward=False):
    """Return the model, its lengths, and the operations that torch counts for one sequence on the explicit path."""
    model = make(variant, size, heads)
    inputs = [tokens(1, S), tokens(1, T, 2)] if make is make_encoder_decoder else [tokens(1, T)]
    with FlopCounterMode(display=False) as counter:
        logits_BTV = model(*inputs, need_weights=True).logits_BTV
        if backward:
            logits_BTV.sum().backward()
    return model, Lengths(S if len(inputs) == 2 else 0, T), counter.get_total_flops()


def beyond_products(model, lengths, size, heads):
    """Return what scores cost beyond the 2K operations, one product and sum, that the counter sees in each."""
    pairs = size.layers * T * T if lengths.source == 0 else size.layers * (S * S + T * T + T * S)
    score = next(module.score for module in model.modules() if isinstance(module, Attention))
    return pairs * heads * (score.flops_per_score() - 2 * score.head_dim)


@BOTH
@HEADS
@PLAIN
def test_a_forward_pass_costs_its_matrix_products_and_what_scores_declare(variant, make, heads, size, tokens):
    model, lengths, products = counted(make, variant, size, heads, tokens)
    assert model.forward_flops(lengths) - products == beyond_products(model, lengths, size, heads)
    if variant == "dot":
        assert model.forward_flops(lengths) == products


@BOTH
@PLAIN
def test_a_training_step_costs_three_forward_passes(variant, make, size, tokens):
    model, lengths, products = counted(make, variant, size, 3, tokens, backward=True)
    beyond = train_flops_per_token(model, lengths) * T - products
    if variant == "additive":  # of its backward pass the counter sees the products with v alone
        assert beyond >= 3 * beyond_products(model, lengths, size, 3)
    else:
        assert beyond == pytest.approx(3 * beyond_products(model, lengths, size, 3))


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_models_cost_beside_their_attentions_is_the_same_for_all_variants(variant, size):
    def beside(model, lengths):
        of_sites = {"encoder": (S, S), "self_attention": (T, T), "cross_attention": (T, S)}
        modules = {name: module for name, module in model.named_modules() if isinstance(module, Attention)}
        places = [next(key for key in of_sites if key in name) for name in modules]
        of_attention = sum(one.flops(*of_sites[place]) for one, place in zip(modules.values(), places, strict=True))
        return model.forward_flops(lengths) - of_attention

    for make, lengths in ((make_encoder_decoder, Lengths(S, T)), (make_decoder_only, Lengths(0, T))):
        assert beside(make(variant, size), lengths) == beside(make("scaled", size), lengths)


def test_parameters_are_those_of_the_paper_with_one_embedding(size):
    d, v, layers, d_ff = size.d_model, size.vocab_size, size.layers, size.d_ff
    attention, feed_forward, norm = 4 * (d * d + d), 2 * d * d_ff + d_ff + d, 2 * d
    decoder_only = v * d + layers * (attention + feed_forward + 2 * norm) + norm
    encoder_decoder = decoder_only + layers * (2 * attention + feed_forward + 3 * norm) + norm
    for variant, heads in (("dot", 1), ("scaled", 1), ("multihead", 4)):
        assert parameter_count(make_decoder_only(variant, size, heads)) == decoder_only
        assert parameter_count(make_encoder_decoder(variant, size, heads)) == encoder_decoder
    assert parameter_count(make_decoder_only("additive", size, 4)) == decoder_only + layers * d
    assert parameter_count(make_encoder_decoder("additive", size, 4)) == encoder_decoder + 3 * layers * d
    learned = dataclasses.replace(size, positions="learned")
    assert parameter_count(make_decoder_only("dot", learned)) == decoder_only + size.max_length * d
    own_source = dataclasses.replace(size, source_vocab_size=29)
    assert parameter_count(make_encoder_decoder("dot", own_source)) == encoder_decoder + 29 * d


def test_frozen_parameters_are_not_counted(size):
    model = make_decoder_only("dot", size)
    before = parameter_count(model)
    model.decoder_norm.weight.requires_grad_(False)
    assert parameter_count(model) == before - size.d_model
