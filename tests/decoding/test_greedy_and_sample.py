"""Decoding with a cache gives what the whole model would; chance comes from the given generator alone."""

import dataclasses

import pytest
import torch
from translators import translator
from variants import VARIANTS, make_decoder_only

from attncompare.data.tokenizer import BOS, EOS, PAD
from attncompare.decoding import greedy, sample

EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS)
POSITIONS = pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
LENGTH = 10


def greedy_from_the_whole_model(model, source_BS, eos):
    target_BT = torch.full((len(source_BS), 1), BOS)
    for _ in range(LENGTH):
        next_B = model(source_BS, target_BT).logits_BTV[:, -1].argmax(-1)
        ended_B = (target_BT[:, 1:] == eos).any(1)
        target_BT = torch.cat((target_BT, next_B.masked_fill(ended_B, PAD)[:, None]), dim=1)
        if (target_BT[:, 1:] == eos).any(1).all():
            break
    return target_BT[:, 1:]


@pytest.fixture
def sources(tokens):
    source_BS = tokens(6, 9)
    source_BS[1, 4:] = source_BS[4, 7:] = PAD
    return source_BS


@EVERY_VARIANT
@POSITIONS
def test_greedy_with_a_cache_equals_greedy_from_the_whole_model(variant, positions, size, sources):
    model = translator(variant, dataclasses.replace(size, positions=positions))
    endless_BT = greedy(model, sources, BOS, -1, LENGTH)
    assert endless_BT.shape == (6, LENGTH)
    assert len(set(endless_BT.flatten().tolist())) >= 3
    for eos in (-1, *endless_BT[:, 2].unique().tolist()):  # tokens that end some rows early
        found_BT = greedy(model, sources, BOS, eos, LENGTH)
        assert torch.equal(found_BT, greedy_from_the_whole_model(model, sources, eos))


@EVERY_VARIANT
def test_a_row_alone_is_translated_as_in_its_batch(variant, size, sources):
    model = translator(variant, size)
    together_BT = greedy(model, sources, BOS, EOS, LENGTH)
    for row, source_S in enumerate(sources):
        alone_T = greedy(model, source_S[source_S != PAD][None], BOS, EOS, LENGTH)[0]
        assert torch.equal(alone_T, together_BT[row, : len(alone_T)])
        assert (together_BT[row, len(alone_T) :] == PAD).all()


def test_greedy_stops_when_every_row_has_ended_and_goes_on_with_padding_until_then(size, sources):
    model = translator("scaled", size)
    endless_BT = greedy(model, sources, BOS, -1, LENGTH)
    row, other = 0, next(row for row in range(1, 6) if endless_BT[row, 0] != endless_BT[0, 0])
    eos = endless_BT[row, 0].item()
    assert greedy(model, sources[[row]], BOS, eos, LENGTH).tolist() == [[eos]]
    both_BT = greedy(model, sources[[row, other]], BOS, eos, LENGTH)
    assert both_BT[0].tolist() == [eos] + [PAD] * (both_BT.shape[1] - 1)
    assert both_BT[1, 0] != eos


def sample_from_the_whole_model(model, prompt_T, tokens, temperature, generator):
    for _ in range(tokens):
        probabilities_V = (model(prompt_T[None]).logits_BTV[0, -1] / temperature).softmax(-1)
        prompt_T = torch.cat((prompt_T, torch.multinomial(probabilities_V, 1, generator=generator)))
    return prompt_T


@EVERY_VARIANT
@POSITIONS
def test_a_sample_with_a_cache_equals_one_from_the_whole_model(variant, positions, size, tokens):
    model, prompt_T = make_decoder_only(variant, dataclasses.replace(size, positions=positions)), tokens(1, 4)[0]
    found_T = sample(model, prompt_T, 12, size.max_length, 0.8, torch.Generator().manual_seed(1))
    expected_T = sample_from_the_whole_model(model, prompt_T, 12, 0.8, torch.Generator().manual_seed(1))
    assert torch.equal(found_T, expected_T)


def test_a_sample_follows_from_its_generator_alone(size, tokens):
    model, prompt_T = make_decoder_only("scaled", size), tokens(1, 4)[0]
    state = torch.get_rng_state()
    draws = [sample(model, prompt_T, 12, 24, 0.8, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_sample_begins_with_its_prompt_and_ends_at_the_longest_length(size, tokens):
    model, prompt_T = make_decoder_only("scaled", size), tokens(1, 4)[0]
    for wanted, length in ((0, 4), (3, 7), (20, 24), (99, 24)):
        found_T = sample(model, prompt_T, wanted, 24, 1.0, torch.Generator().manual_seed(1))
        assert len(found_T) == length
        assert torch.equal(found_T[:4], prompt_T)


@pytest.mark.parametrize("temperature", [1e-4, 1e-40, 1e-300, 5e-324])  # the smaller are 0 in float32
def test_low_temperatures_take_the_likeliest_token(size, tokens, temperature):
    model, prompt_T = make_decoder_only("scaled", size), tokens(1, 4)[0]
    found_T = sample(model, prompt_T, 12, 24, temperature, torch.Generator().manual_seed(1))
    assert torch.equal(found_T[4:], model(found_T[None]).logits_BTV[0, 3:-1].argmax(-1))
