"""Laws that hold for every attention module of the variants in conf/attention, with its own and another number of heads.

What a law says of a part follows from what the part declares: whether its weights sum to one, whether it sees the future.
"""

import copy
import math

import pytest
import torch
from torch.func import functional_call
from variants import VARIANTS, attention_arguments, distinct_attentions, variant_config

from attncompare.attention import (
    Attention,
    KeyValueCache,
    attend,
    causal_mask,
    check_laws,
    combine,
    mixing,
    padding_mask,
)
from attncompare.attention.parts import Part
from attncompare.errors import Refused

D = 32
PATHS = pytest.mark.parametrize("need_weights", [False, True], ids=["fast", "explicit"])
CROSS = pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])


def other_heads(arguments):
    """Return settings with a number of heads that does not divide D, and an even width, which some parts ask for."""
    return {"heads": 3 * (arguments["kv_heads"] or 1), "head_dim": 12}


@pytest.fixture(
    params=[(name, other) for name in distinct_attentions() for other in (False, True)],
    ids=lambda chosen: chosen[0] + chosen[1] * "-other_heads",
)
def build(request):
    """Make the attention module of one variant and number of heads, always with the same parameters, all of them drawn."""
    name, other = request.param
    arguments = distinct_attentions()[name]
    arguments = {**arguments, **(other_heads(arguments) if other else {})}

    def make(d_model=D, **changes):
        torch.manual_seed(0)
        return with_drawn_parameters(Attention(d_model, **{**arguments, **changes}))

    return make


def with_drawn_parameters(attention, seed=0):
    """Give also those parameters values that begin at 0, under which a part would do nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in attention.parameters():
            wide = 0.3 * (parameter.shape[-1] ** -0.5 if parameter.ndim > 1 else 1)
            parameter.add_(wide * torch.randn(parameter.shape, generator=generator))
    return attention


def normal(*shape, seed=1, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_mask(*shape, seed=2):
    """A mask under which every query has some key."""
    mask = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.6
    mask[..., 0] |= ~mask.any(-1)
    return mask


def visible_by_positions(attention, length):
    """Return who sees whom in self-attention without padding, (T, T)."""
    position_T = torch.arange(length)
    mask, causal = attention.mask, attention.causal
    pattern = None if mask is None else mask.visible(position_T[:, None], position_T, causal)
    in_order = causal_mask(length, length) if causal and not (mask is not None and mask.sees_future) else None
    return torch.ones(length, length, dtype=torch.bool) if pattern is None is in_order else combine(pattern, in_order)


def sums_of_weights(attention):
    """Return what the weights of a query sum to in each head (H,) if the normalizer's sum to one."""
    sums_X = torch.ones(attention.score.heads)
    if attention.after is not None:  # talking heads
        sums_X = sums_X @ attention.after.p_HH
    if attention.difference is not None:
        one, other, third, fourth = attention.difference.lambda_4F
        factor = (one @ other).exp() - (third @ fourth).exp() + attention.difference.begin
        sums_X = sums_X[::2] - factor * sums_X[1::2]
    return sums_X


@CROSS
def test_hidden_keys_get_no_weight_and_the_sum_is_what_the_parts_promise(build, cross):
    attention, keys = build(), 7 if cross else 5
    mask = random_mask(2, 1, 5, keys) | torch.eye(5, keys, dtype=torch.bool)
    _, weights_BHTS = attention(normal(2, 5, D), normal(2, 7, D, seed=3) if cross else None, mask, need_weights=True)
    mask = mask if cross else mask & visible_by_positions(attention, 5)
    assert weights_BHTS.shape == (2, attention.heads, 5, keys)
    assert (weights_BHTS.masked_select(~mask) == 0).all()
    assert (weights_BHTS.masked_select(mask) != 0).any()
    if attention.after is None and attention.difference is None:
        assert (weights_BHTS >= 0).all()
    if attention.normalizer.sums_to_one:
        expected = sums_of_weights(attention)[:, None].expand(2, -1, 5)
        torch.testing.assert_close(weights_BHTS.sum(-1), expected)


@PATHS
def test_what_is_blocked_for_everyone_changes_no_bit(build, need_weights):
    attention, memory_BSD = build(), normal(2, 7, D, seed=3)
    mask = padding_mask(torch.arange(7).expand(2, 7) < torch.tensor([[4], [7]]))
    cancels = attention.normalizer.hidden_cancel
    other_BSD = memory_BSD.clone()
    other_BSD[0, 4:] = (1 if cancels else 100) * normal(3, D, seed=4)
    outputs = [attention(normal(2, 5, D), memory, mask, need_weights)[0] for memory in (memory_BSD, other_BSD)]
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-6 if cancels else 0)


@PATHS
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", [1, 100])  # 100: far outside of the range in which additive scores use exponentials
def test_a_changed_position_changes_the_outputs_of_those_that_see_it_and_no_bit_of_others(
    build, need_weights, causal, size
):
    attention, length = build(causal=causal), 14
    cancels = attention.normalizer.hidden_cancel
    if cancels and size > 1:
        pytest.skip("hidden scores that lie far above leave nothing of the others")
    x_BTD = normal(1, length, D)
    visible_TS = visible_by_positions(attention, length)
    before_BTD, before_BHTS = attention(x_BTD, need_weights=need_weights)
    _, weights_BHTS = attention(x_BTD, need_weights=True)
    mixed_TS = (weights_BHTS.abs() > 1e-3).any(1)[0]
    for s in range(0, length, 2):
        changed_BTD = x_BTD.clone()
        changed_BTD[:, s] = size * normal(1, D, seed=5)
        after_BTD, after_BHTS = attention(changed_BTD, need_weights=need_weights)
        apart_T = (after_BTD - before_BTD).abs().amax((0, 2))
        assert (apart_T[~visible_TS[:, s]] <= (1e-5 if cancels else 0)).all()
        assert (apart_T[mixed_TS[:, s]] > 0).all()
        if need_weights and not cancels:
            assert torch.equal(after_BHTS[:, :, ~visible_TS[:, s]], before_BHTS[:, :, ~visible_TS[:, s]])


@PATHS
def test_causal_is_the_causal_mask_and_never_hides_a_memory(build, need_weights):
    x_BTD, memory_BSD = normal(2, 12, D), normal(2, 8, D, seed=3)
    # Without positions, as some tell both sides apart only where both are seen.
    free, causal = build(causal=False, positions=None), build(causal=True, positions=None)
    masked_BTD, _ = free(x_BTD, may_attend=visible_by_positions(causal, 12), need_weights=need_weights)
    torch.testing.assert_close(causal(x_BTD, need_weights=need_weights)[0], masked_BTD, rtol=1e-5, atol=2e-6)
    assert torch.equal(causal(x_BTD, memory_BSD)[0], free(x_BTD, memory_BSD)[0])


@PATHS
def test_padding_and_the_rest_of_the_batch_change_nothing_beyond_rounding(build, need_weights):
    attention, x_BTD = build().double(), normal(2, 6, D).double()
    padded_BTD = torch.cat((x_BTD, 2 * normal(2, 11, D, seed=6).double()), dim=1)
    mask = padding_mask(torch.arange(17).expand(2, 17) < 6)
    padded_BTD, _ = attention(padded_BTD, may_attend=mask, need_weights=need_weights)
    for row in range(2):
        alone_BTD, _ = attention(x_BTD[row : row + 1], need_weights=need_weights)
        torch.testing.assert_close(padded_BTD[row : row + 1, :6], alone_BTD, rtol=0, atol=1e-10)


@PATHS
@CROSS
@pytest.mark.parametrize("queries", [[2], list(range(5))], ids=["one", "all"])
def test_a_query_without_keys_gets_zeros_and_gradients_stay_finite(build, need_weights, cross, queries):
    attention, keys = build(), 7 if cross else 5
    query_BTD = normal(2, 5, D).requires_grad_()
    memory_BSD = normal(2, 7, D, seed=3).requires_grad_() if cross else None
    mask = random_mask(1, 1, 5, keys)
    mask[..., queries, :] = False
    if not cross:
        mask[..., queries] = False
    with torch.autograd.set_detect_anomaly(True):  # refuses a NaN on the way back, even one that is masked afterwards
        output_BTD, weights_BHTS = attention(query_BTD, memory_BSD, mask, need_weights)
        (output_BTD * normal(2, 5, D, seed=7)).sum().backward()
    # Zero context leaves the bias of the output projection.
    assert torch.equal(output_BTD[:, queries], attention.output.bias.expand(2, len(queries), D))
    if need_weights:
        assert (weights_BHTS[:, :, queries] == 0).all()
    if query_BTD.grad is not None:  # of some scores they decide nothing
        assert (query_BTD.grad[:, queries].abs() <= (1e-6 if attention.normalizer.hidden_cancel else 0)).all()
    for tensor in (query_BTD, memory_BSD, *attention.parameters()):
        assert tensor is None or tensor.grad is None or tensor.grad.isfinite().all()


@PATHS
@CROSS
def test_gradients_of_inputs_and_parameters_in_float64(build, need_weights, cross):
    attention = build(d_model=5, head_dim=4).double()
    names, parameters = zip(*attention.named_parameters(), strict=True)
    query_BTD = normal(1, 3, 5, dtype=torch.float64).requires_grad_()
    memory_BSD = normal(1, 4, 5, seed=3, dtype=torch.float64).requires_grad_() if cross else None
    mask = torch.tensor([[True, True, False, True], [False] * 4, [True] * 4])[:, : 4 if cross else 3]

    def output(query_BTD, memory_BSD, *values):
        arguments = (query_BTD, memory_BSD, mask, need_weights)
        return functional_call(attention, dict(zip(names, values, strict=True)), arguments)[0]

    inputs = (query_BTD, memory_BSD, *parameters)
    assert torch.autograd.gradcheck(output, inputs, fast_mode=True, check_undefined_grad=False)


def run_with_gradients(attention, cross, mask, need_weights, dropout_seed=0):
    dtype = attention.query.weight.dtype
    query_BTD = normal(2, 12, D).to(dtype).requires_grad_()
    memory_BSD = normal(2, 17, D, seed=3).to(dtype).requires_grad_() if cross else None
    inputs = [query_BTD, *([memory_BSD] if cross else []), *attention.parameters()]
    torch.manual_seed(dropout_seed)
    output_BTD, _ = attention(query_BTD, memory_BSD, mask, need_weights)
    wanted = normal(2, 12, D, seed=7).to(dtype)
    return output_BTD, *torch.autograd.grad(output_BTD, inputs, wanted, allow_unused=True)


@CROSS
@pytest.mark.parametrize("masked", [False, True])
def test_the_explicit_path_equals_the_fast_path_forward_and_backward(build, cross, masked):
    mask = random_mask(2, 1, 12, 17 if cross else 12) if masked else None
    changes = {"causal": masked}
    exact = run_with_gradients(build(**changes).double(), cross, mask, need_weights=True)
    in_double = run_with_gradients(build(**changes).double(), cross, mask, need_weights=False)
    for found, expected in zip(in_double, exact, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
    fast, explicit = (run_with_gradients(build(**changes), cross, mask, need_weights) for need_weights in (False, True))
    # A number passes through five sums one after the other, over D, K, S, H * K and, for a parameter's gradient, B * T
    # numbers. Rounding errors of a sum grow with the root of its length, and as those of both paths are chance, one
    # may be twice the other, but hardly more than that and a few units in the last place.
    lengths = D + fast[0].shape[-1] + 17 + D + 24
    # The gradient of a bias of keys is 0, as softmax does not change with it: its error is one of the others' size.
    size = max(gradient.abs().max() for gradient in exact[1:] if gradient is not None)
    for number, (a, b, reference) in enumerate(zip(fast, explicit, exact, strict=True)):
        if reference is None:
            assert a is b is None
            continue
        unit = torch.finfo(torch.float32).eps * (reference.abs().max() if number == 0 else size)
        error_a, error_b = ((found.double() - reference).abs().max() for found in (a, b))
        assert error_b <= math.sqrt(lengths) * unit
        assert error_a <= 2 * error_b + 4 * unit


@pytest.mark.filterwarnings("error")
def test_in_half_precision_outputs_are_near_and_what_is_hidden_stays_hidden(build):
    x_BTD, mask = normal(2, 9, D), random_mask(1, 1, 9, 9)
    mask[..., 2, :] = mask[..., 2] = False
    attention = build(causal=True)
    exact_BTD, _ = attention(x_BTD, may_attend=mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fast_BTD, _ = attention(x_BTD, may_attend=mask)
        explicit_BTD, weights_BHTS = attention(x_BTD, may_attend=mask, need_weights=True)
    assert fast_BTD.dtype == explicit_BTD.dtype == torch.bfloat16
    assert (weights_BHTS[:, :, 2] == 0).all() and (weights_BHTS[..., 2] == 0).all()
    for found_BTD in (fast_BTD.float(), explicit_BTD.float()):
        assert (found_BTD - exact_BTD).abs().max() <= 0.1 * exact_BTD.abs().max()
        found_BTD.sum().backward()
    assert all(one.grad is None or one.grad.isfinite().all() for one in attention.parameters())


def test_one_seed_drops_the_same_weights_on_each_path_and_in_training_alone(build):
    attention, x_BTD = build(dropout=0.3, causal=True), normal(2, 12, D)
    undropped_BTD, weights_BHTS = build(dropout=0.0, causal=True)(x_BTD, need_weights=True)

    def outputs(seed, need_weights):
        torch.manual_seed(seed)
        return attention(x_BTD, need_weights=need_weights)

    (fast_BTD, _), (explicit_BTD, found_BHTS), (other_BTD, _) = outputs(1, False), outputs(1, True), outputs(2, False)
    torch.testing.assert_close(fast_BTD, explicit_BTD, rtol=1e-5, atol=2e-5)
    assert torch.equal(found_BHTS, weights_BHTS)  # those before dropout
    assert not torch.allclose(fast_BTD, other_BTD, atol=1e-3)
    attention.eval()
    torch.testing.assert_close(attention(x_BTD)[0], undropped_BTD, rtol=1e-5, atol=2e-5)


@PATHS
@pytest.mark.parametrize("score", ["additive", "scaled", "soft_cap"])  # a kernel each, and none
def test_dropout_keeps_the_mean(score, need_weights):
    q, k, v = (normal(1, 2, 6, 4, seed=seed) for seed in (1, 2, 3))
    expected, _ = attend(q, k, v, score)
    torch.manual_seed(1)
    draws = torch.stack([attend(q, k, v, score, dropout=0.5, need_weights=need_weights)[0] for _ in range(400)])
    spread = draws.std(0) / math.sqrt(400)
    assert ((draws.mean(0) - expected).abs() <= 5 * spread + 1e-6).all()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_queries_in_blocks_equal_all_at_once_forward_and_backward(build, monkeypatch, dropout):
    mask = random_mask(2, 1, 12, 12) | torch.eye(12, dtype=torch.bool)
    attention = build(dropout=dropout, causal=True).double()
    whole = run_with_gradients(attention, False, mask, need_weights=True, dropout_seed=3)
    scored = 2 * attention.score.heads
    monkeypatch.setattr(mixing, "BLOCK", scored * 12 * 5)  # five queries at a time
    # Kernels of scores are left out: what they compute needs no blocks.
    monkeypatch.setattr(type(attention.score), "context", lambda *_: None)
    in_blocks = run_with_gradients(attention, False, mask, need_weights=False, dropout_seed=3)
    for found, expected in zip(in_blocks, whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)
    with torch.no_grad():
        torch.manual_seed(3)
        torch.testing.assert_close(attention(normal(2, 12, D).double(), may_attend=mask)[0], whole[0])


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


@torch.no_grad()
def by_parts(attention, x_BTD, step, need_weights=True, memory_BSD=None, mask=None):
    """Read a sequence in parts with one cache; a mask that sees the future asks for all that it opens at once.

    Yields the first position after each part, its output and weights, and the cache.
    """
    cache, start = KeyValueCache(), 0
    while start < x_BTD.shape[1]:
        opens = start == 0 and attention.mask is not None and attention.mask.sees_future
        end = min(start + (attention.mask.length if opens else step), x_BTD.shape[1])
        yield end, *attention(x_BTD[:, start:end], memory_BSD, mask, need_weights, cache, start), cache
        start = end


@pytest.mark.parametrize("step", [1, 3])
def test_token_by_token_with_a_cache_equals_the_whole(build, step):
    attention, length = build(causal=True), 40  # long enough for a cache to forget what a window hides
    x_BTD = normal(2, length, D)
    whole_BTD, whole_BHTS = attention(x_BTD, need_weights=True)
    start = 0
    for end, part_BTD, part_BHTS, cache in by_parts(attention, x_BTD, step):
        torch.testing.assert_close(part_BTD, whole_BTD[:, start:end], rtol=0, atol=5e-6)
        held_S = torch.arange(end) if cache.positions is None else cache.positions
        of_part_BHTS = whole_BHTS[:, :, start:end]
        torch.testing.assert_close(part_BHTS, of_part_BHTS[..., held_S], rtol=0, atol=2e-6)
        forgotten = torch.ones(length, dtype=torch.bool)
        forgotten[held_S] = False
        assert (of_part_BHTS[..., forgotten] == 0).all()
        start = end
    assert cache.bytes_held >= 2 * attention.cached_numbers() * 4 * len(held_S)


def test_a_memory_that_a_cache_holds_is_read_as_the_memory_itself(build):
    attention, x_BTD, memory_BSD, mask = build(), normal(2, 7, D), normal(2, 5, D, seed=3), random_mask(2, 1, 1, 5)
    whole_BTD, whole_BHTS = attention(x_BTD, memory_BSD, mask, need_weights=True)
    parts = list(by_parts(attention, x_BTD, 3, memory_BSD=memory_BSD, mask=mask))
    torch.testing.assert_close(torch.cat([part[1] for part in parts], 1), whole_BTD, rtol=0, atol=2e-6)
    torch.testing.assert_close(torch.cat([part[2] for part in parts], 2), whole_BHTS, rtol=0, atol=2e-6)
    assert parts[-1][3].bytes_held == 2 * attention.cached_numbers(of_memory=True) * 4 * 5


@pytest.mark.parametrize("latent", [None, 3])
@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize("variant", ["window", "streaming"])
def test_a_window_bounds_the_memory_of_its_cache(variant, step, latent):
    arguments = {**attention_arguments(variant_config(variant)), "latent": latent, "causal": True}
    attention = with_drawn_parameters(Attention(4, **arguments))
    x_BTD = normal(1, 300, 4)
    whole_BTD, _ = attention(x_BTD)
    outputs, held = [], []
    for end, part_BTD, _, cache in by_parts(attention, x_BTD, step, need_weights=False):
        outputs.append(part_BTD)
        held.append((end, cache.bytes_held, cache.read()[0].shape[2]))
    torch.testing.assert_close(torch.cat(outputs, 1), whole_BTD, rtol=0, atol=2e-6)
    early = max(taken for end, taken, _ in held if end <= 100)
    assert max(taken for _, taken, _ in held) == early
    mask = attention.mask
    assert max(keys for _, _, keys in held) <= 2 * (mask.window + mask.sinks) + 16 + step


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_number_of_heads_of_any_width(variant):
    arguments = attention_arguments(variant_config(variant))
    for heads, head_dim in ((1, None), (3, None), (20, None), (7, 1), (2, 6)):
        kv_heads = arguments["kv_heads"] and math.gcd(heads, arguments["kv_heads"])
        sizes = {"heads": heads, "kv_heads": kv_heads, "head_dim": head_dim}
        try:
            attention = Attention(8, **{**arguments, **sizes})
        except Refused as refused:  # some parts take even widths alone
            assert "must be even" in str(refused) and (head_dim or math.ceil(8 / heads)) % 2
            continue
        output_BTD, weights_BHTS = attention(normal(2, 3, 8), need_weights=True)
        assert output_BTD.shape == (2, 3, 8)
        assert weights_BHTS.shape == (2, heads, 3, 3)


def test_parts_keep_the_laws_that_parts_of_packages_are_checked_by(build):
    for part in (one for one in build().modules() if isinstance(one, Part)):
        check_laws(part)
