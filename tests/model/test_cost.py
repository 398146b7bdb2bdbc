"""The cost formulas against torch's own counter, and parameters against what a reader of the paper would add up."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from variants import VARIANTS, make_decoder_only, make_encoder_decoder

from attncompare.attention import Attention
from attncompare.model.cost import Lengths, forward_flops, parameter_count, train_flops_per_token

S, T = 9, 7
BOTH = pytest.mark.parametrize("make", [make_encoder_decoder, make_decoder_only])
HEADS = pytest.mark.parametrize("heads", [1, 3, 4])


def run(make, variant, size, heads, tokens, backward=False):
    """Return the model, its lengths, and the operations that torch counts for one sequence on the explicit path."""
    model = make(variant, size, heads)
    inputs = [tokens(1, S), tokens(1, T, 2)] if make is make_encoder_decoder else [tokens(1, T)]
    with FlopCounterMode(display=False) as counter:
        logits_BTV = model(*inputs, need_weights=True).logits_BTV
        if backward:
            logits_BTV.sum().backward()
    return model, Lengths(S if len(inputs) == 2 else 0, T), counter.get_total_flops()


@BOTH
@HEADS
def test_for_dot_every_operation_is_a_matrix_product_that_torch_counts(make, heads, size, tokens):
    model, lengths, counted = run(make, "dot", size, heads, tokens)
    assert forward_flops(model, lengths) == counted


@BOTH
@HEADS
def test_a_training_step_costs_three_times_the_forward_pass(make, heads, size, tokens):
    model, lengths, counted = run(make, "dot", size, heads, tokens, backward=True)
    assert train_flops_per_token(model, lengths) * T == counted


@BOTH
@HEADS
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_other_scores_cost_beyond_matrix_products_is_what_they_say(variant, make, heads, size, tokens):
    model, lengths, counted = run(make, variant, size, heads, tokens)
    pairs = size.layers * T * T if lengths.source == 0 else size.layers * (S * S + T * T + T * S)
    score = next(module.score for module in model.modules() if isinstance(module, Attention))
    beyond = score.flops_per_score() - 2 * score.head_dim  # the counter sees 2K in every score, one product and sum
    assert forward_flops(model, lengths) - counted == pairs * heads * beyond


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


def test_frozen_parameters_are_not_counted(size):
    model = make_decoder_only("dot", size)
    before = parameter_count(model)
    model.decoder_norm.weight.requires_grad_(False)
    assert parameter_count(model) == before - size.d_model


def test_the_counter_sees_what_the_test_believes():
    with FlopCounterMode(display=False) as counter:
        torch.ones(3, 4) @ torch.ones(4, 5)
    assert counter.get_total_flops() == 2 * 3 * 4 * 5
