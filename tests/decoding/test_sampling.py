"""Sampling: what temperature, top-k and top-p leave, how often it is drawn, and that the generator decides alone."""

import dataclasses

import pytest
import torch
from variants import SEVERAL, make_decoder_only

from attncompare.decoding import sample, sample_rows
from attncompare.decoding.sampling import chances
from attncompare.errors import Refused

LOGITS = torch.tensor([[0.5, 3.0, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 9.0, 0.0]])


def drawn(model, prompt_NT, tokens=8, seed=1, **options):
    return sample_rows(model, prompt_NT, tokens, 24, torch.Generator().manual_seed(seed), **options)


def test_without_limits_it_is_the_softmax():
    torch.testing.assert_close(chances(LOGITS, 0.7), (LOGITS / 0.7).softmax(1))
    assert torch.equal(chances(LOGITS, 0.7, top_k=5, top_p=1.0), chances(LOGITS, 0.7))


def test_top_k_keeps_the_likeliest_and_of_equal_ones_the_first():
    for k, kept in ((1, [1]), (2, [1, 3]), (3, [1, 2, 3]), (9, [0, 1, 2, 3, 4])):
        found_V = chances(LOGITS, 1.0, top_k=k)[0]
        assert found_V.nonzero()[:, 0].tolist() == kept
        torch.testing.assert_close(found_V[kept], LOGITS[0, kept].softmax(0))


def test_top_p_keeps_the_smallest_set_that_holds_so_much():
    probability_V = LOGITS[0].softmax(0)
    order = probability_V.argsort(descending=True, stable=True)
    for p in (1e-9, 0.3, 0.6, 0.75, 0.9, 0.97, 1.0):
        size = next(n for n in range(1, 6) if probability_V[order[:n]].sum() >= p - 1e-6)
        found_NV = chances(LOGITS, 1.0, top_p=p)
        assert found_NV[0].nonzero()[:, 0].tolist() == sorted(order[:size].tolist())
        torch.testing.assert_close(found_NV.sum(1), torch.ones(2))
    # After top_k: of the two that are left the first has 0.73.
    assert chances(LOGITS, 1.0, top_k=2, top_p=0.7)[0].nonzero()[:, 0].tolist() == [1]


@pytest.mark.parametrize("variant", SEVERAL)
@pytest.mark.parametrize(
    "options", [{"top_k": 1}, {"top_p": 1e-6}, {"top_k": 1, "temperature": 50.0}, {"temperature": 0.0}]
)
def test_one_token_left_is_the_likeliest_one(variant, size, tokens, options):
    model, prompt_NT = make_decoder_only(variant, size, 2), tokens(3, 4)
    found_NT = drawn(model, prompt_NT, 12, **options)
    assert torch.equal(found_NT[:, 4:], model(found_NT).logits_BTV[:, 3:-1].argmax(-1))


def test_tokens_are_drawn_as_often_as_their_probabilities_say(size, tokens):
    model, rows = make_decoder_only("scaled", size), 20_000
    prompt_NT = tokens(1, 4).expand(rows, -1)
    for options in ({"temperature": 0.8}, {"temperature": 2.0, "top_k": 6}, {"temperature": 1.5, "top_p": 0.8}):
        found_N = drawn(model, prompt_NT, 1, **options)[:, -1]
        share_V = torch.bincount(found_N, minlength=13) / rows
        arguments = {"temperature": 1.0, "top_k": None, "top_p": None, **options}
        expected_V = chances(model(prompt_NT[:1]).logits_BTV[:, -1], **arguments)[0]
        assert ((share_V - expected_V).abs() <= 5 * (expected_V * (1 - expected_V) / rows).sqrt()).all()


def test_rows_differ_and_follow_from_the_generator_alone(size, tokens):
    model, prompt_NT = make_decoder_only("scaled", size), tokens(1, 4).expand(5, -1)
    state = torch.get_rng_state()
    first, again, other = (drawn(model, prompt_NT, seed=seed, temperature=3.0) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len(set(map(tuple, first.tolist()))) == 5


def test_it_stops_when_every_row_has_ended(size, tokens):
    model, prompt_NT = make_decoder_only("scaled", size), tokens(2, 4)
    whole_NT = drawn(model, prompt_NT, temperature=3.0)
    ends = [row[4:].tolist() for row in whole_NT]
    eos = next(token for token in ends[0] if token in ends[1])
    last = max(row.index(eos) for row in ends)
    assert torch.equal(drawn(model, prompt_NT, temperature=3.0, eos=eos), whole_NT[:, : 4 + last + 1])


@pytest.mark.parametrize(
    "options", [{"temperature": -0.1}, {"temperature": float("inf")}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}]
)
def test_what_nothing_can_be_drawn_with(size, tokens, options):
    with pytest.raises(Refused, match=f"{next(iter(options))}="):
        drawn(make_decoder_only("scaled", size), tokens(1, 4), **options)


def sample_from_the_whole_model(model, prompt_T, tokens, temperature, generator):
    for _ in range(tokens):
        probabilities_V = (model(prompt_T[None]).logits_BTV[0, -1] / temperature).softmax(-1)
        prompt_T = torch.cat((prompt_T, torch.multinomial(probabilities_V, 1, generator=generator)))
    return prompt_T


@pytest.mark.parametrize("variant", SEVERAL)
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_a_sample_with_a_cache_equals_one_from_the_whole_model(variant, positions, size, tokens):
    model, prompt_T = make_decoder_only(variant, dataclasses.replace(size, positions=positions)), tokens(1, 4)[0]
    found_T = sample(model, prompt_T, 12, size.max_length, 0.8, torch.Generator().manual_seed(1))
    expected_T = sample_from_the_whole_model(model, prompt_T, 12, 0.8, torch.Generator().manual_seed(1))
    assert torch.equal(found_T, expected_T)


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
