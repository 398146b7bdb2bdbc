"""The compiled dot-product attention is the formula: as exact as torch's, for every shape, mask, type and magnitude."""

import pytest
import torch
import torch.nn.functional as F

from attncompare.attention.masks import causal_mask
from attncompare.attention.kernels.fused import dot_context
from attncompare.attention.kernels.build import library

pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler")
SHAPES = [  # batch, heads, queries, keys, width of keys, width of values
    (1, 1, 1, 1, 1, 1),
    (3, 2, 1, 19, 13, 20),  # one query a head, as in decoding
    (2, 3, 7, 19, 13, 24),
    (3, 4, 15, 15, 32, 32),
    (2, 2, 33, 70, 33, 17),
    (3, 1, 65, 16, 100, 100),
    (1, 3, 200, 257, 64, 48),
]


def inputs(batch, heads, queries, keys, width, value_width, scale=1.0):
    draw = torch.Generator().manual_seed(1)
    lengths = (queries, width), (keys, width), (keys, value_width), (queries, value_width)
    q, k, values, gradient = (torch.randn(batch, heads, *length, generator=draw) for length in lengths)
    return scale * q, k, values, gradient


def by_torch(q, k, values, mask, scale):
    return F.scaled_dot_product_attention(q, k, values, attn_mask=mask, scale=scale)


def ours(q, k, values, mask, scale, causal=False, dropout=0.0):
    return dot_context(q, k, values, mask, causal, dropout, scale)


def outcome(function, tensors, gradient, *options, dtype=torch.float32, **named):
    leaves = [tensor.detach().to(dtype).requires_grad_() for tensor in tensors]
    context = function(*leaves, *options, **named)
    context.backward(gradient.to(dtype))
    return [context.detach(), *(leaf.grad for leaf in leaves)]


def rms(x):
    return x.double().pow(2).mean().sqrt().item()


def same(found, other):
    return all(torch.equal(a, b) for a, b in zip(found, other, strict=True))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [0.05, 1.0, 10.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_as_exact_as_torch(shape, scale, causal):
    *tensors, gradient = inputs(*shape)
    mask = causal_mask(shape[2], shape[3]) if causal else None
    options = mask, scale * shape[4] ** -0.5
    exact = outcome(by_torch, tensors, gradient, *options, dtype=torch.float64)
    theirs = outcome(by_torch, tensors, gradient, *options)
    for found, torchs, right in zip(outcome(ours, tensors, gradient, *options), theirs, exact, strict=True):
        # The floor: where a single key is seen, and so on, nothing is left to be rounded.
        assert rms(found - right) <= max(2 * rms(torchs - right), 2e-7 * rms(right), 1e-9)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_half_precision_is_float32_arithmetic_on_rounded_numbers(shape):
    *tensors, gradient = (tensor.bfloat16() for tensor in inputs(*shape))
    found = outcome(ours, tensors, gradient, None, 0.3, dtype=torch.bfloat16)
    precise = outcome(ours, tensors, gradient, None, 0.3)
    assert all(one.dtype == torch.bfloat16 for one in found)
    assert same(found, [one.bfloat16() for one in precise])


def test_half_precision_hands_on_what_is_no_number():
    q, k, values = (torch.ones(1, 1, 2, 3, dtype=torch.bfloat16) for _ in range(3))
    values[..., 0], values[..., 1] = torch.nan, -torch.inf
    context = ours(q, k, values, None, 1.0)
    assert context[..., 0].isnan().all() and (context[..., 1] == -torch.inf).all() and (context[..., 2] == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_it_reads_and_gives_views_of_heads_beside_each_other(dtype):
    *tensors, gradient = inputs(2, 3, 7, 19, 13, 24)
    apart = outcome(ours, tensors, gradient, None, 0.3, dtype=dtype)
    leaves = [tensor.to(dtype).transpose(1, 2).contiguous().requires_grad_() for tensor in tensors]
    context = ours(*(leaf.transpose(1, 2) for leaf in leaves), None, 0.3)
    context.backward(gradient.to(dtype).transpose(1, 2).contiguous().transpose(1, 2))
    assert same(apart, [context.detach(), *(leaf.grad.transpose(1, 2) for leaf in leaves)])
    assert context.transpose(1, 2).is_contiguous()


def test_causal_is_the_mask_and_masks_may_have_any_strides():
    *tensors, gradient = inputs(2, 3, 70, 50, 8, 8)
    draw = torch.Generator().manual_seed(2)
    for mask in (
        torch.rand(70, 50, generator=draw) > 0.5,
        torch.rand(2, 1, 1, 50, generator=draw) > 0.5,
        (torch.rand(50, 2, 1, 1, generator=draw) > 0.5).permute(1, 3, 2, 0),
    ):
        both = mask & causal_mask(70, 50)
        found = outcome(ours, tensors, gradient, mask, 1.0, causal=True)
        assert same(found, outcome(ours, tensors, gradient, both.expand(2, 3, 70, 50).contiguous(), 1.0))
        blind = ~both.any(-1).expand(2, 3, 70)
        assert found[0][blind].eq(0).all() and found[1][blind].eq(0).all(), "who may attend to nothing gets zeros"
        assert all(one.isfinite().all() for one in found)


def test_neither_the_rest_of_the_batch_nor_padding_changes_a_bit():
    *tensors, gradient = inputs(5, 3, 20, 31, 24, 24)
    whole = outcome(ours, tensors, gradient, None, 1.0)
    alone = outcome(ours, [tensor[2:3] for tensor in tensors], gradient[2:3], None, 1.0)
    assert same([one[2:3] for one in whole], alone)
    q, *read = tensors
    wider = [torch.cat((tensor, 100 * torch.randn(5, 3, 30, 24)), dim=2) for tensor in read]
    padded = outcome(ours, [q, *wider], gradient, (torch.arange(61) < 31)[None], 1.0)
    for one, other in zip(padded, whole, strict=True):
        torch.testing.assert_close(one[:, :, : other.shape[2]], other, atol=1e-6, rtol=1e-5)
        assert (one[:, :, other.shape[2] :] == 0).all()


@pytest.mark.parametrize("odd", [torch.inf, -torch.inf, torch.nan, 1e30, 50.0])
def test_odd_numbers_touch_only_what_they_meet(odd):
    *tensors, _ = inputs(1, 1, 6, 40, 8, 8)
    before = ours(*tensors, None, 1.0)
    tensors[0][0, 0, 2, 3] = odd
    after = ours(*tensors, None, 1.0)
    others = [0, 1, 3, 4, 5]
    assert torch.equal(before[0, 0, others], after[0, 0, others])
    assert torch.allclose(after, by_torch(*tensors, None, 1.0), atol=1e-6, equal_nan=True)


def test_threads_and_repetition_change_no_bit():
    *tensors, gradient = inputs(3, 3, 90, 90, 16, 16)
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            torch.manual_seed(5)
            found.append(outcome(ours, tensors, gradient, None, 0.5, causal=True, dropout=0.3))
    finally:
        torch.set_num_threads(threads)
    assert all(same(found[0], again) for again in found[1:])


def test_dropout_drops_its_share_and_the_rest_makes_up_for_it():
    q, k, *_ = inputs(4, 4, 64, 64, 8, 8)
    tensors = q, k, torch.eye(64).expand(4, 4, 64, 64)  # so that the context is the weights
    whole, dropped = ours(*tensors, None, 1.0), ours(*tensors, None, 1.0, dropout=0.25)
    kept = dropped != 0
    assert kept.float().mean() == pytest.approx(0.75, abs=0.005)
    assert torch.allclose(dropped[kept], whole[kept] / 0.75)
    assert not torch.equal(dropped, ours(*tensors, None, 1.0, dropout=0.25))
    rows, columns = kept.float().mean(-1), kept.float().mean(-2)
    assert rows.std() < 0.08 and columns.std() < 0.08, "no row and no column is dropped more than chance has it"


def test_the_gradient_under_dropout_is_that_of_what_was_dropped():
    *tensors, gradient = inputs(1, 2, 40, 20, 8, 24)
    torch.manual_seed(3)
    found = outcome(ours, tensors, gradient, None, 0.5, causal=True, dropout=0.4)
    mask = causal_mask(40, 20)
    eye = torch.eye(20).expand(1, 2, 20, 20)
    torch.manual_seed(3)
    dropped = ours(*tensors[:2], eye, None, 0.5, causal=True, dropout=0.4)
    factors = (dropped / ours(*tensors[:2], eye, None, 0.5, causal=True)).nan_to_num()

    def by_hand(q, k, values):
        weights = (0.5 * q @ k.transpose(-2, -1)).masked_fill(~mask, -1e30).softmax(-1)
        return (weights * factors) @ values

    for one, other in zip(found, outcome(by_hand, tensors, gradient), strict=True):
        assert torch.allclose(one, other, atol=2e-5)


@pytest.mark.parametrize("sizes", [(0, 2, 3, 3), (2, 2, 0, 3), (2, 2, 3, 0)], ids=str)
def test_empty_tensors_come_out_empty_or_zero(sizes):
    *tensors, gradient = inputs(*sizes, 4, 5)
    found = outcome(ours, tensors, gradient, None, 1.0)
    assert [one.shape for one in found] == [gradient.shape, *(tensor.shape for tensor in tensors)]
    assert not any(one.any() for one in found)
