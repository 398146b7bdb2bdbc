"""What a model attends to: no future in the decoder, no padding, and everything else."""

import pytest
import torch
from variants import VARIANTS, make_decoder_only, make_encoder_decoder, variant_config

from attncompare.attention import Attention
from attncompare.data.tokenizer import PAD

EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS)


def with_other_future(tokens_BT, now):
    changed_BT = tokens_BT.clone()
    changed_BT[:, now:] = 1 + tokens_BT[:, now:] % 12  # another token everywhere
    return changed_BT


@EVERY_VARIANT
@pytest.mark.parametrize("need_weights", [False, True])
def test_future_tokens_change_no_bit_of_past_logits(variant, need_weights, size, tokens):
    source_BS, target_BT = tokens(3, 9), tokens(3, 8, 2)
    translator, language_model = make_encoder_decoder(variant, size), make_decoder_only(variant, size)
    attentions = [module for module in language_model.modules() if isinstance(module, Attention)]
    if any(attention.mask is not None and attention.mask.sees_future for attention in attentions):
        pytest.skip("its mask shows some of the future: see the laws of the module")
    rounding = 1e-5 if any(attention.normalizer.hidden_cancel for attention in attentions) else 0
    for logits_of in (
        lambda target_BT: translator(source_BS, target_BT, need_weights).logits_BTV,
        lambda target_BT: language_model(target_BT, need_weights).logits_BTV,
    ):
        before_BTV = logits_of(target_BT)
        for now in (1, 4, 7):
            after_BTV = logits_of(with_other_future(target_BT, now))
            assert (after_BTV[:, :now] - before_BTV[:, :now]).abs().max() <= rounding
            assert (after_BTV[:, now:] != before_BTV[:, now:]).any(-1).all()


@EVERY_VARIANT
def test_the_encoder_attends_to_the_future_unless_the_variant_is_causal(variant, size, tokens):
    model, source_BS = make_encoder_decoder(variant, size), tokens(3, 8)
    mask = model.source_mask(source_BS)
    before_BSD = model.encode(source_BS, mask)[0]
    after_BSD = model.encode(with_other_future(source_BS, 7), mask)[0]
    assert torch.equal(after_BSD[:, :7], before_BSD[:, :7]) == variant_config(variant).causal


@EVERY_VARIANT
def test_every_source_token_reaches_every_logit(variant, size, tokens):
    model, source_BS, target_BT = make_encoder_decoder(variant, size), tokens(1, 5), tokens(1, 4, 2)
    before_BTV = model(source_BS, target_BT).logits_BTV
    for position in range(5):
        changed_BS = source_BS.clone()
        changed_BS[:, position] = 1 + source_BS[:, position] % 12
        assert (model(changed_BS, target_BT).logits_BTV != before_BTV).any(-1).all()


def test_local_attention_sees_the_source_around_the_place_that_is_written(size, tokens):
    """Luong et al. 2015, section 3.2: the window of local-m, which ends with the sentence."""
    reach, S, T = variant_config("local_m").at("cross").mask.window - 1, 9, 20
    weights_BHTS = make_encoder_decoder("local_m", size)(tokens(2, S), tokens(2, T, 2), need_weights=True).weights[
        "cross"
    ][0]
    near_TS = (torch.arange(T)[:, None] - torch.arange(S)).abs() <= reach
    assert torch.equal(weights_BHTS != 0, near_TS.expand_as(weights_BHTS))
    assert torch.allclose(weights_BHTS.sum(-1), near_TS.any(-1).float().expand(weights_BHTS.shape[:-1]))


@EVERY_VARIANT
def test_padding_of_the_source_changes_nothing_but_rounding(variant, size, tokens):
    # In float64, because unscaled scores of a whole model amplify what float32 rounds away.
    model, source_BS, target_BT = make_encoder_decoder(variant, size).double(), tokens(3, 9), tokens(3, 7, 2)
    source_BS[1, 4:] = PAD
    logits_BTV = model(source_BS, target_BT).logits_BTV
    padded_BS = torch.nn.functional.pad(source_BS, (0, 10), value=PAD)
    assert (model(padded_BS, target_BT).logits_BTV - logits_BTV).abs().max() <= 1e-12
    alone_BTV = model(source_BS[1:2, :4], target_BT[1:2]).logits_BTV
    assert (alone_BTV - logits_BTV[1:2]).abs().max() <= 1e-12
