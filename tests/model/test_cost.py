"""The cost formulas against torch's own counter, and parameters against what a reader of the paper would add up."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from variants import VARIANTS, make_decoder_only, make_encoder_decoder

from attncompare.attention import Attention
from attncompare.model.cost import (
    Lengths,
    forward_flops,
    parameter_count,
    planned_activations,
    planned_map,
    planned_parameters,
    train_flops_per_token,
)

S, T = 9, 7
OWN_SOURCE = {"source_vocab_size": 29, "positions": "learned"}
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


def uncounted(model, lengths, size, heads):
    """Return what scores cost beyond the 2K operations, one product and sum, that the counter sees in each."""
    pairs = size.layers * T * T if lengths.source == 0 else size.layers * (S * S + T * T + T * S)
    score = next(module.score for module in model.modules() if isinstance(module, Attention))
    return pairs * heads * (score.flops_per_score() - 2 * score.head_dim)


@BOTH
@HEADS
def test_for_dot_every_operation_is_a_matrix_product_that_torch_counts(make, heads, size, tokens):
    model, lengths, counted = run(make, "dot", size, heads, tokens)
    assert forward_flops(model, lengths) == counted


@BOTH
@HEADS
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_training_step_costs_three_times_the_forward_pass(variant, make, heads, size, tokens):
    model, lengths, counted = run(make, variant, size, heads, tokens, backward=True)
    beyond = train_flops_per_token(model, lengths) * T - counted
    if variant == "additive":  # of its backward pass the counter sees the products with v alone
        assert beyond >= 3 * uncounted(model, lengths, size, heads)
    else:
        assert beyond == pytest.approx(3 * uncounted(model, lengths, size, heads))


@BOTH
@HEADS
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_other_scores_cost_beyond_matrix_products_is_what_they_say(variant, make, heads, size, tokens):
    model, lengths, counted = run(make, variant, size, heads, tokens)
    assert forward_flops(model, lengths) - counted == uncounted(model, lengths, size, heads)


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


@BOTH
@HEADS
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("changes", [{}, {"positions": "learned"}, {"d_model": 20, "layers": 3, "d_ff": 7}, OWN_SOURCE])
def test_parameters_can_be_counted_before_there_is_a_model(variant, make, heads, size, changes):
    size = dataclasses.replace(size, **changes)
    model = make(variant, size, heads)
    attentions = [module for module in model.modules() if isinstance(module, Attention)]
    own = sum(parameter_count(attention.score) for attention in attentions)
    planned = planned_parameters(size, heads * attentions[0].head_dim, cross=make is make_encoder_decoder)
    assert planned == parameter_count(model) - own


@BOTH
@pytest.mark.parametrize("variant", VARIANTS)
def test_what_a_step_keeps_is_at_least_what_was_planned(variant, make, size, tokens):
    model = make(variant, size, 2).train()
    parameters = {parameter.data_ptr() for parameter in model.parameters()}

    def kept_by(sequences):
        inputs = (
            [tokens(sequences, T)] if make is make_decoder_only else [tokens(sequences, S), tokens(sequences, T, 2)]
        )
        kept = {}

        def keep(tensor):
            if tensor.data_ptr() not in parameters:
                kept[tensor.data_ptr()] = tensor  # the tensor too, or its place would be given to another
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            logits_BTV = model(*inputs).logits_BTV
            torch.nn.functional.cross_entropy(logits_BTV.flatten(0, 1), tokens(sequences, T).flatten())
        return sum(tensor.numel() for tensor in kept.values())

    lengths = Lengths(0 if make is make_decoder_only else S, T)
    inner = next(module.heads * module.head_dim for module in model.modules() if isinstance(module, Attention))
    # The difference leaves out what there is once for all sequences, such as weights put beside each other.
    counted, planned = kept_by(2) - kept_by(1), planned_activations(size, inner, lengths)
    assert counted / 2 < planned <= counted


@BOTH
def test_the_maps_of_one_sequence_are_as_large_as_planned(make, size, tokens):
    inputs = [tokens(1, S), tokens(1, T, 2)] if make is make_encoder_decoder else [tokens(1, T)]
    weights = make("dot", size, 3)(*inputs, need_weights=True).weights
    lengths = Lengths(S if len(inputs) == 2 else 0, T)
    assert planned_map(size.layers, 3, lengths) == sum(site.numel() for site in weights.values())


def test_frozen_parameters_are_not_counted(size):
    model = make_decoder_only("dot", size)
    before = parameter_count(model)
    model.decoder_norm.weight.requires_grad_(False)
    assert parameter_count(model) == before - size.d_model


def test_the_counter_sees_what_the_test_believes():
    with FlopCounterMode(display=False) as counter:
        torch.ones(3, 4) @ torch.ones(4, 5)
    assert counter.get_total_flops() == 2 * 3 * 4 * 5
