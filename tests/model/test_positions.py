"""Positions: the published sinusoids, learned ones, and the end of both."""

import dataclasses
import math

import pytest
import torch
from variants import make_decoder_only, make_encoder_decoder

from attncompare.errors import Refused
from attncompare.model.backbones.transformer import Embedding, sinusoids

KINDS = pytest.mark.parametrize("positions", ["sinusoidal", "learned"])


def make_embedding(size, positions):
    return Embedding(dataclasses.replace(size, positions=positions).config, size.vocab_size, size.max_length)


@pytest.mark.parametrize("d_model", [1, 2, 7, 32])
def test_sinusoids_are_those_of_the_paper(d_model):
    """Vaswani et al. 2017, section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i / d)), PE(pos, 2i + 1) the cosine."""
    table_TD = sinusoids(50, d_model)
    assert table_TD.shape == (50, d_model)
    for position in range(50):
        for column in range(d_model):
            angle = position / 10_000 ** (2 * (column // 2) / d_model)
            expected = math.cos(angle) if column % 2 else math.sin(angle)
            assert table_TD[position, column].item() == pytest.approx(expected, abs=1e-5)


@KINDS
def test_vectors_are_scaled_tokens_plus_positions(positions, size, tokens):
    embedding = make_embedding(size, positions).eval()
    table_TD = embedding.positions.weight if positions == "learned" else sinusoids(size.max_length, size.d_model)
    tokens_BT = tokens(2, 5)
    expected_BTD = embedding.tokens.weight[tokens_BT] * math.sqrt(size.d_model) + table_TD[3:8]
    torch.testing.assert_close(embedding(tokens_BT, start=3), expected_BTD)


def test_only_learned_positions_are_parameters_and_part_of_a_checkpoint(size):
    sinusoidal, learned = make_embedding(size, "sinusoidal"), make_embedding(size, "learned")
    assert list(sinusoidal.state_dict()) == ["tokens.weight"]
    assert list(learned.state_dict()) == ["tokens.weight", "positions.weight"]
    assert learned.positions.weight.shape == (size.max_length, size.d_model)


@KINDS
def test_learned_or_not_a_model_knows_the_order_of_its_input(positions, size, tokens):
    size = dataclasses.replace(size, positions=positions)
    source_BS, target_BT = tokens(1, 6), tokens(1, 4, 2)
    assert source_BS[0, 1] != source_BS[0, 4]
    swapped_BS = source_BS[:, [0, 4, 2, 3, 1, 5]]
    model = make_encoder_decoder("scaled", size)
    assert not torch.allclose(model(source_BS, target_BT).logits_BTV, model(swapped_BS, target_BT).logits_BTV)
    model = make_decoder_only("scaled", size)
    last_BV, swapped_BV = (model(tokens_BT).logits_BTV[:, -1] for tokens_BT in (source_BS, swapped_BS))
    assert not torch.allclose(last_BV, swapped_BV)


@KINDS
@pytest.mark.parametrize("length, start", [(25, 0), (2, 23), (1, 24)])
def test_a_sequence_beyond_the_last_position_is_refused(positions, length, start, size, tokens):
    embedding = make_embedding(size, positions)
    embedding(tokens(1, 24))
    embedding(tokens(1, 1), start=23)
    with pytest.raises(Refused, match=r"25 tokens.*max_length is 24"):
        embedding(tokens(1, length), start)
