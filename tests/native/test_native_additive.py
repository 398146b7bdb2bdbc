"""The compiled additive attention is the formula: as exact as the plain form, for every shape, mask and magnitude."""

import pytest
import torch

from attncompare.attention.masks import causal_mask
from attncompare.native.additive import additive_context
from attncompare.native.library import library

pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler")
SHAPES = [
    (1, 1, 1, 1, 1),
    (2, 3, 7, 19, 13),
    (1, 4, 50, 50, 32),
    (2, 2, 9, 70, 33),
    (3, 1, 33, 16, 100),
    (1, 1, 200, 65, 8),
]


def inputs(batch, heads, queries, keys, width, scale=1.0, values=24):
    draw = torch.Generator().manual_seed(1)
    shapes = (batch, heads, queries, width), (batch, heads, keys, width), (heads, width), (batch, heads, keys, values)
    q, k, v, x = (torch.randn(shape, generator=draw) for shape in shapes)
    return scale * q, scale * k, v * width**-0.5, x, torch.randn(batch, heads, queries, values, generator=draw)


def plain(q, k, v, values, mask=None):
    scores = ((q[:, :, :, None] + k[:, :, None]).tanh() * v[:, None, None]).sum(-1)
    weights = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    weights = weights.softmax(-1)
    return (weights if mask is None else weights.masked_fill(~mask.any(-1, keepdim=True), 0)) @ values


def outcome(function, tensors, gradient, *options, dtype=torch.float32):
    leaves = [tensor.to(dtype).requires_grad_() for tensor in tensors]
    context = function(*leaves, *options)
    context.backward(gradient.to(dtype))
    return [context.detach(), *(leaf.grad for leaf in leaves)]


def rms(x):
    return x.double().pow(2).mean().sqrt().item()


def error(found, exact):
    return [rms(one - other) for one, other in zip(found, exact, strict=True)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [0.05, 1.0, 10.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_as_exact_as_the_plain_form(shape, scale, causal):
    *tensors, gradient = inputs(*shape, scale=scale)
    mask = causal_mask(shape[2], shape[3])
    if causal and not mask.any(-1).all():
        mask[:, 0] = True  # the plain form's gradient knows no query without keys
    exact = outcome(plain, tensors, gradient, *[mask] * causal, dtype=torch.float64)
    eager = outcome(plain, tensors, gradient, *[mask] * causal)
    found = outcome(additive_context, tensors, gradient, mask if causal else None, False, 0.0)
    floors = (2e-7 * rms(one) for one in exact)  # where both are all but exact
    for ours, theirs, floor in zip(error(found, exact), error(eager, exact), floors, strict=True):
        assert ours <= max(2 * theirs, floor)


def test_causal_is_the_mask_and_masks_may_have_any_strides():
    *tensors, gradient = inputs(2, 3, 70, 50, 8)
    draw = torch.Generator().manual_seed(2)
    for mask in (
        torch.rand(70, 50, generator=draw) > 0.5,
        (torch.rand(50, 2, 1, 1, generator=draw) > 0.5).permute(1, 3, 2, 0),
    ):
        both = mask & causal_mask(70, 50)
        found = outcome(additive_context, tensors, gradient, mask, True, 0.0)
        same = outcome(additive_context, tensors, gradient, both.expand(2, 3, 70, 50).contiguous(), False, 0.0)
        assert all(torch.equal(one, other) for one, other in zip(found, same, strict=True))
        assert found[0][~both.any(-1).expand(2, 3, 70)].eq(0).all(), "who may attend to nothing gets zeros"


def test_opposite_extremes_meet():
    q, k, v = torch.tensor([30.0, -300.0]), torch.tensor([-29.0, 299.5, -31.0]), torch.ones(1, 1)
    values = torch.eye(3)[None, None]
    context = additive_context(q[None, None, :, None], k[None, None, :, None], v, values, None, False, 0.0)
    expected = (q[:, None] + k).tanh().softmax(-1)
    assert torch.allclose(context[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("odd", [torch.inf, -torch.inf, torch.nan, 1e30, 50.0])
def test_odd_numbers_touch_only_what_they_meet(odd):
    *tensors, _ = inputs(1, 1, 6, 40, 8)
    before = additive_context(*tensors, None, False, 0.0)
    tensors[0][0, 0, 2, 3] = odd
    after = additive_context(*tensors, None, False, 0.0)
    others = [0, 1, 3, 4, 5]
    assert torch.equal(before[0, 0, others], after[0, 0, others])
    exact = plain(*(tensor.double() for tensor in tensors))
    assert torch.allclose(after.double(), exact, atol=1e-6, equal_nan=True)


def test_threads_and_repetition_change_no_bit():
    *tensors, gradient = inputs(1, 1, 300, 90, 16)
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            torch.manual_seed(5)
            found.append(outcome(additive_context, tensors, gradient, None, True, 0.3))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for again in found[1:] for one, other in zip(found[0], again, strict=True))


def test_dropout_drops_its_share_and_the_rest_makes_up_for_it():
    *tensors, _ = inputs(4, 4, 64, 64, 8)
    tensors[3] = torch.eye(64).expand(4, 4, 64, 64)  # so that the context is the weights
    whole = additive_context(*tensors, None, False, 0.0)
    dropped = additive_context(*tensors, None, False, 0.25)
    kept = dropped != 0
    assert kept.float().mean() == pytest.approx(0.75, abs=0.005)
    assert torch.allclose(dropped[kept], whole[kept] / 0.75)
    assert not torch.equal(dropped, additive_context(*tensors, None, False, 0.25))
    rows, columns = kept.float().mean(-1), kept.float().mean(-2)
    assert rows.std() < 0.08 and columns.std() < 0.08, "no row and no column is dropped more than chance has it"


def test_the_gradient_under_dropout_is_that_of_what_was_dropped():
    *tensors, gradient = inputs(1, 2, 5, 20, 8)

    def dropped(*leaves):
        torch.manual_seed(3)
        return additive_context(*leaves, None, False, 0.4)

    torch.manual_seed(3)
    eye = torch.eye(20).expand(1, 2, 20, 20)
    factors = additive_context(*tensors[:3], eye, None, False, 0.4) / additive_context(
        *tensors[:3], eye, None, False, 0.0
    )

    def by_hand(q, k, v, values):
        scores = ((q[:, :, :, None] + k[:, :, None]).tanh() * v[:, None, None]).sum(-1)
        return (scores.softmax(-1) * factors) @ values

    found, expected = (outcome(function, tensors, gradient) for function in (dropped, by_hand))
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=2e-5)


def test_half_precision_goes_in_and_comes_out():
    *tensors, _ = inputs(1, 2, 5, 20, 8)
    halves = [tensor.bfloat16() for tensor in tensors]
    context = additive_context(*halves, None, False, 0.0)
    assert context.dtype == torch.bfloat16
    assert torch.allclose(context.float(), plain(*(half.float() for half in halves)), atol=0.02)
