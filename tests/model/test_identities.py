"""Which variants are the same model, to the bit, and where they are not."""

import pytest
import torch
from variants import VARIANTS, make_decoder_only, make_encoder_decoder


def trained_bits(model, *inputs):
    """Return what a model says of ``inputs`` after two optimizer steps, by both paths, and its parameters."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        model(*inputs).logits_BTV.logsumexp(-1).square().sum().backward()
        optimizer.step()
    explicit = model(*inputs, need_weights=True)
    return [model(*inputs).logits_BTV, explicit.logits_BTV, *explicit.weights.values(), *model.parameters()]


def same_bits(first, second):
    return len(first) == len(second) and all(map(torch.equal, first, second))


def test_on_a_language_model_scaled_and_causal_are_one_model(size, tokens):
    models = (make_decoder_only(variant, size) for variant in ("scaled", "causal"))
    assert same_bits(*(trained_bits(model, tokens(3, 11)) for model in models))


def test_multihead_with_one_head_is_scaled_and_with_four_it_is_not(size, tokens):
    for make, inputs in ((make_decoder_only, [tokens(3, 11)]), (make_encoder_decoder, [tokens(3, 9), tokens(3, 7, 2)])):
        scaled, one, four = (
            trained_bits(make(variant, size, heads), *inputs)
            for variant, heads in (("scaled", None), ("multihead", 1), ("multihead", 4))
        )
        assert same_bits(scaled, one)
        assert not torch.equal(scaled[0], four[0])


def test_in_an_encoder_decoder_causal_differs_from_scaled_in_the_encoder_alone(size, tokens):
    source_BS, target_BT = tokens(3, 9), tokens(3, 7, 2)
    scaled, causal = (make_encoder_decoder(variant, size) for variant in ("scaled", "causal"))
    mask = scaled.source_mask(source_BS)
    memory_BSD, scaled_weights = scaled.encode(source_BS, mask, need_weights=True)
    causal_memory_BSD, causal_weights = causal.encode(source_BS, mask, need_weights=True)
    assert not torch.equal(memory_BSD, causal_memory_BSD)
    assert (causal_weights["encoder_self"].triu(1) == 0).all()
    assert (scaled_weights["encoder_self"] > 0).all()
    for need_weights in (False, True):
        decoded = [model.decode(target_BT, memory_BSD, mask, need_weights) for model in (scaled, causal)]
        assert torch.equal(decoded[0][0], decoded[1][0])
        for site, weights_LBHTS in decoded[0][1].items():
            assert torch.equal(weights_LBHTS, decoded[1][1][site])


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_task_owns_causality_of_the_decoder_and_no_variant_that_of_cross_attention(variant, size, tokens):
    model = make_encoder_decoder(variant, size)
    weights = model(tokens(3, 9), tokens(3, 7, 2), need_weights=True).weights
    heads = model.encoder[0].self_attention.heads
    assert {site: tuple(weights_LBHTS.shape) for site, weights_LBHTS in weights.items()} == {
        "encoder_self": (2, 3, heads, 9, 9),
        "decoder_self": (2, 3, heads, 7, 7),
        "cross": (2, 3, heads, 7, 9),
    }
    assert tuple(weights) == tuple(model.sites)
    mask = model.decoder[0].self_attention.mask
    sees_future = mask is not None and mask.sees_future  # the prefix alone
    assert (weights["decoder_self"].triu(1) != 0).any() == sees_future
    assert (weights["cross"].triu(1) != 0).any()
    language_model = make_decoder_only(variant, size)
    weights = language_model(tokens(3, 9), need_weights=True).weights
    assert tuple(weights) == tuple(language_model.sites)
    assert (weights["decoder_self"].triu(1) != 0).any() == sees_future
