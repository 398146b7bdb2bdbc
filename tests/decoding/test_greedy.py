"""Greedy search with a cache gives what the whole model would."""

import dataclasses

import pytest
import torch
from translators import translator
from variants import SEVERAL

from attncompare.data.tokenizer import BOS, EOS, PAD
from attncompare.decoding import greedy

EACH_VARIANT = pytest.mark.parametrize("variant", SEVERAL)
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


@EACH_VARIANT
@POSITIONS
def test_greedy_with_a_cache_equals_greedy_from_the_whole_model(variant, positions, size, sources):
    model = translator(variant, dataclasses.replace(size, positions=positions))
    endless_BT = greedy(model, sources, BOS, -1, LENGTH)
    assert endless_BT.shape == (6, LENGTH)
    assert len(set(endless_BT.flatten().tolist())) >= 3
    for eos in (-1, *endless_BT[:, 2].unique().tolist()):  # tokens that end some rows early
        found_BT = greedy(model, sources, BOS, eos, LENGTH)
        assert torch.equal(found_BT, greedy_from_the_whole_model(model, sources, eos))


@EACH_VARIANT
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
