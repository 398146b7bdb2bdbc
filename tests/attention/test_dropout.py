"""Dropout from a counter has the distribution of torch's, and its gradient drops what was dropped."""

import pytest
import torch

from attncompare.attention.kernels.dropout import add_dropout
from attncompare.attention.kernels.build import library

pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler")


@pytest.mark.parametrize("size", [1, 15, 16, 17, 16_384, 16_385, 100_003])
@pytest.mark.parametrize("base", [False, True])
def test_each_number_is_zero_or_made_larger_and_the_gradient_is_the_same_factor(size, base):
    x = torch.randn(size, requires_grad=True)
    below = torch.randn(size, requires_grad=True)
    y = add_dropout(below if base else None, x, 0.25)
    y.sum().backward()
    assert set(x.grad.unique().tolist()) <= {0.0, 1 / 0.75, torch.tensor(1 / 0.75).item()}
    assert torch.allclose(y.detach(), (below.detach() if base else 0) + x.detach() * x.grad, atol=1e-6)
    if base:
        assert torch.equal(below.grad, torch.ones(size))


def test_its_share_is_dropped_without_a_pattern():
    kept = (add_dropout(None, torch.ones(1000, 1000), 0.3) != 0).float()
    assert kept.mean() == pytest.approx(0.7, abs=0.003)
    for means in (kept.mean(0), kept.mean(1)):
        assert means.std() == pytest.approx((0.7 * 0.3 / 1000) ** 0.5, rel=0.1), "as independent numbers have it"
    neighbours = torch.corrcoef(torch.stack([kept.flatten()[:-1], kept.flatten()[1:]]))[0, 1]
    assert abs(neighbours) < 0.005


def test_the_generator_decides_alone():
    x = torch.ones(1000)
    torch.manual_seed(4)
    first, second = add_dropout(None, x, 0.5), add_dropout(None, x, 0.5)
    torch.manual_seed(4)
    assert torch.equal(add_dropout(None, x, 0.5), first)
    assert not torch.equal(first, second)


def test_no_dropout_draws_nothing():
    x = torch.randn(5)
    before = torch.random.get_rng_state()
    assert add_dropout(None, x, 0.0) is x
    assert torch.equal(add_dropout(x, x, 0.0), 2 * x)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_the_loops_do_not_take_goes_through_torch():
    x = torch.ones(10_000, dtype=torch.float64, requires_grad=True)
    y = add_dropout(x, x, 0.5)
    assert y.dtype == torch.float64 and set(y.unique().tolist()) == {1.0, 3.0}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_taken_as_float32_and_its_gradient_is_rounded(dtype):
    halves = torch.randn(1003).to(dtype).requires_grad_()
    floats = halves.detach().float().requires_grad_()
    below, gradient = torch.randn(1003), torch.randn(1003)
    dropped = []
    for x in (halves, floats):
        torch.manual_seed(1)
        dropped.append(add_dropout(below, x, 0.5))
        dropped[-1].backward(gradient)
    assert dropped[0].dtype == torch.float32 and torch.equal(*dropped)
    assert torch.equal(halves.grad, floats.grad.to(dtype))
