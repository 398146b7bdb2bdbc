"""Laws that hold for every variant in conf/attention, with 1, 3 and 4 heads."""

import copy
import math

import pytest
import torch
from torch.func import functional_call
from variants import VARIANTS, make_attention

from attncompare.attention import KeyValueCache, causal_mask, padding_mask

D = 32  # not divisible by 3
HEADS = (1, 3, 4)
PATHS = pytest.mark.parametrize("need_weights", [False, True], ids=["fast", "explicit"])


@pytest.fixture(params=[(variant, heads) for variant in VARIANTS for heads in HEADS], ids=lambda p: f"{p[0]}-h{p[1]}")
def build(request):
    """Make the attention module of one variant and number of heads, always with the same parameters."""
    variant, heads = request.param

    def make(d_model=D, **changes):
        torch.manual_seed(0)
        return make_attention(variant, d_model, heads, **changes)

    return make


def normal(*shape, seed=1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_mask(*shape, seed=2):
    """A mask under which every query has some key."""
    mask = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.6
    mask[..., 0] |= ~mask.any(-1)
    return mask


def test_weights_sum_to_one_and_blocked_positions_are_exactly_zero(build):
    attention, mask = build(), random_mask(2, 1, 5, 7)
    _, weights_BHTS = attention(normal(2, 5, D), normal(2, 7, D, seed=3), mask, need_weights=True)
    assert weights_BHTS.shape == (2, attention.heads, 5, 7)
    assert (weights_BHTS >= 0).all()
    torch.testing.assert_close(weights_BHTS.sum(-1), torch.ones(2, attention.heads, 5))
    assert (weights_BHTS.masked_select(~mask) == 0).all()
    assert (weights_BHTS.masked_select(mask) > 0).any()


@PATHS
def test_what_is_blocked_for_everyone_changes_no_bit(build, need_weights):
    attention, memory_BSD = build(), normal(2, 7, D, seed=3)
    mask = padding_mask(torch.arange(7).expand(2, 7) < torch.tensor([[4], [7]]))
    other_BSD = memory_BSD.clone()
    other_BSD[0, 4:] = 100 * normal(3, D, seed=4)
    outputs = [attention(normal(2, 5, D), memory, mask, need_weights)[0] for memory in (memory_BSD, other_BSD)]
    assert torch.equal(*outputs)


@PATHS
@pytest.mark.parametrize("size", [1, 100])  # 100: far outside of the range in which additive scores use exponentials
def test_changing_the_future_leaves_past_outputs_bit_identical(build, need_weights, size):
    attention, x_BTD = build(causal=True), normal(2, 9, D)
    before_BTD, before_BHTS = attention(x_BTD, need_weights=need_weights)
    for now in range(1, 9):
        changed_BTD = x_BTD.clone()
        changed_BTD[:, now:] = size * normal(2, 9 - now, D, seed=5)
        after_BTD, after_BHTS = attention(changed_BTD, need_weights=need_weights)
        assert torch.equal(after_BTD[:, :now], before_BTD[:, :now])
        assert not torch.equal(after_BTD[:, now:], before_BTD[:, now:])
        if need_weights:
            assert torch.equal(after_BHTS[:, :, :now], before_BHTS[:, :, :now])


@PATHS
def test_causal_is_the_causal_mask_and_never_hides_a_memory(build, need_weights):
    x_BTD, memory_BSD = normal(2, 6, D), normal(2, 8, D, seed=3)
    free, causal = build(causal=False), build(causal=True)
    masked_BTD, _ = free(x_BTD, may_attend=causal_mask(6, 6), need_weights=need_weights)
    torch.testing.assert_close(causal(x_BTD, need_weights=need_weights)[0], masked_BTD)
    assert torch.equal(causal(x_BTD, memory_BSD)[0], free(x_BTD, memory_BSD)[0])


@PATHS
def test_padding_changes_nothing_beyond_1e_6(build, need_weights):
    attention, x_BTD = build(), normal(2, 6, D)
    padded_BTD = torch.cat((x_BTD, 5 * normal(2, 11, D, seed=6)), dim=1)
    mask = padding_mask(torch.arange(17).expand(2, 17) < 6)
    padded_BTD, _ = attention(padded_BTD, may_attend=mask, need_weights=need_weights)
    alone_BTD, _ = attention(x_BTD, need_weights=need_weights)
    assert (padded_BTD[:, :6] - alone_BTD).abs().max() <= 1e-6


@PATHS
@pytest.mark.parametrize("queries", [[2], list(range(5))], ids=["one", "all"])
def test_a_query_without_keys_gets_zeros_and_gradients_stay_finite(build, need_weights, queries):
    attention = build()
    query_BTD, memory_BSD = normal(2, 5, D).requires_grad_(), normal(2, 7, D, seed=3).requires_grad_()
    mask = random_mask(1, 1, 5, 7)
    mask[..., queries, :] = False
    with torch.autograd.set_detect_anomaly(True):  # refuses a NaN on the way back, even one that is masked afterwards
        output_BTD, weights_BHTS = attention(query_BTD, memory_BSD, mask, need_weights)
        (output_BTD * normal(2, 5, D, seed=7)).sum().backward()
    # Zero context leaves the bias of the output projection.
    assert torch.equal(output_BTD[:, queries], attention.output.bias.expand(2, len(queries), D))
    if need_weights:
        assert (weights_BHTS[:, :, queries] == 0).all()
    assert (query_BTD.grad[:, queries] == 0).all()
    for tensor in (query_BTD, memory_BSD, *attention.parameters()):
        assert tensor.grad.isfinite().all()


@PATHS
@pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
def test_gradients_of_inputs_and_parameters_in_float64(build, need_weights, cross):
    attention = build(d_model=5).double()
    names, parameters = zip(*attention.named_parameters(), strict=True)
    query_BTD = normal(1, 3, 5, dtype=torch.float64).requires_grad_()
    memory_BSD = normal(1, 4, 5, seed=3, dtype=torch.float64).requires_grad_() if cross else None
    mask = torch.tensor([[True, True, False, True], [False] * 4, [True] * 4])[:, : 4 if cross else 3]

    def output(query_BTD, memory_BSD, *values):
        arguments = (query_BTD, memory_BSD, mask, need_weights)
        return functional_call(attention, dict(zip(names, values, strict=True)), arguments)[0]

    inputs = (query_BTD, memory_BSD, *parameters)
    assert torch.autograd.gradcheck(output, inputs, fast_mode=True, check_undefined_grad=False)


def run_with_gradients(attention, mask, need_weights):
    dtype = attention.query.weight.dtype
    query_BTD, memory_BSD = normal(2, 12, D).to(dtype), normal(2, 17, D, seed=3).to(dtype)
    inputs = (query_BTD.requires_grad_(), memory_BSD.requires_grad_(), *attention.parameters())
    output_BTD, _ = attention(query_BTD, memory_BSD, mask, need_weights)
    return output_BTD, *torch.autograd.grad(output_BTD, inputs, normal(2, 12, D, seed=7).to(dtype))


@pytest.mark.parametrize("masked", [False, True])
def test_the_explicit_path_equals_the_fast_path_forward_and_backward(build, masked):
    mask = random_mask(2, 1, 12, 17) if masked else None
    exact = run_with_gradients(build().double(), mask, need_weights=True)
    for found, expected in zip(run_with_gradients(build().double(), mask, need_weights=False), exact, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    fast, explicit = (run_with_gradients(build(), mask, need_weights) for need_weights in (False, True))
    # A number passes through five sums one after the other, over D, K, S, H * K and, for a parameter's gradient, B * T
    # numbers. Rounding errors of a sum grow with the root of its length, and as those of both paths are chance, one
    # may be twice the other, but hardly more than that and a few units in the last place.
    lengths = D + fast[0].shape[-1] + 17 + D + 24
    for name, a, b, reference in zip(("output", "query", "memory", "parameter"), fast, explicit, exact, strict=False):
        unit = torch.finfo(torch.float32).eps * reference.abs().max()
        error_a, error_b = ((found.double() - reference).abs().max() for found in (a, b))
        assert error_b <= math.sqrt(lengths) * unit, name
        assert error_a <= 2 * error_b + 4 * unit, name


def test_the_same_result_whatever_batch_came_before(build):
    attention, x_BTD, mask = build(), normal(2, 6, D), random_mask(2, 1, 6, 6)
    fresh = copy.deepcopy(attention)
    state = {name: (dict(vars(module)), list(module.state_dict())) for name, module in attention.named_modules()}
    for need_weights in (False, True):
        attention(100 * normal(3, 11, D, seed=8), need_weights=need_weights)
        attention(normal(1, 2, D, seed=9), normal(1, 5, D), need_weights=need_weights)
        found = attention(x_BTD, may_attend=mask, need_weights=need_weights)
        expected = fresh(x_BTD, may_attend=mask, need_weights=need_weights)
        assert torch.equal(found[0], expected[0])
        assert not need_weights or torch.equal(found[1], expected[1])
    for name, module in attention.named_modules():
        assert (vars(module), list(module.state_dict())) == state[name]


@pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
def test_token_by_token_with_a_cache_equals_the_whole(build, cross):
    attention, x_BTD = build(causal=True), normal(2, 7, D)
    memory_BSD, mask = (normal(2, 5, D, seed=3), random_mask(2, 1, 1, 5)) if cross else (None, None)
    whole_BTD, whole_BHTS = attention(x_BTD, memory_BSD, mask, need_weights=True)
    for step in (1, 3):
        cache = KeyValueCache()
        for start in range(0, 7, step):
            part_BTD, part_BHTS = attention(x_BTD[:, start : start + step], memory_BSD, mask, True, cache)
            torch.testing.assert_close(part_BTD, whole_BTD[:, start : start + step], rtol=0, atol=1e-6)
            seen = part_BHTS.shape[-1]
            assert seen == (5 if cross else min(7, start + step))
            torch.testing.assert_close(part_BHTS, whole_BHTS[:, :, start : start + step, :seen], rtol=0, atol=1e-6)


@PATHS
def test_dropout_acts_in_training_alone_and_keeps_the_mean(build, need_weights):
    attention, x_BTD = build(dropout=0.5), normal(2, 6, D)
    expected = build()(x_BTD, need_weights=need_weights)
    torch.manual_seed(1)
    draws = [attention(x_BTD, need_weights=need_weights) for _ in range(400)]
    assert not torch.equal(draws[0][0], draws[1][0])
    spread = torch.stack([output_BTD for output_BTD, _ in draws]).std(0) / math.sqrt(400)
    mean_BTD = torch.stack([output_BTD for output_BTD, _ in draws]).mean(0)
    assert ((mean_BTD - expected[0]).abs() <= 5 * spread + 1e-6).all()
    if need_weights:  # they are those before dropout
        assert torch.equal(draws[0][1], expected[1])
    attention.eval()
    assert torch.equal(attention(x_BTD, need_weights=need_weights)[0], expected[0])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("heads", "head_dim"), [(1, None), (3, None), (20, None), (7, 1), (2, 6)])
def test_any_number_of_heads_of_any_width(variant, heads, head_dim):
    attention = make_attention(variant, 8, heads, head_dim=head_dim)
    assert attention.head_dim == (head_dim or math.ceil(8 / heads))
    output_BTD, weights_BHTS = attention(normal(2, 3, 8), need_weights=True)
    assert output_BTD.shape == (2, 3, 8)
    assert weights_BHTS.shape == (2, heads, 3, 3)
    assert attention.query.weight.shape == (heads * attention.head_dim, 8)
