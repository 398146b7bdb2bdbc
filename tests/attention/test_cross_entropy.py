"""The loss that forgets its logits is torch's, and so are its gradients."""

import pytest
import torch
import torch.nn.functional as F

from attncompare.attention.kernels import cross_entropy
from attncompare.attention.kernels.build import library
from attncompare.attention.kernels.cross_entropy import linear_cross_entropy

pytestmark = pytest.mark.skipif(library() is None, reason="no C++ compiler")


def inputs(rows, vocabulary, width, scale=1.0):
    draw = torch.Generator().manual_seed(1)
    x, weight = torch.randn(rows, width, generator=draw), torch.randn(vocabulary, width, generator=draw)
    target = torch.randint(vocabulary, (rows,), generator=draw)
    target[::3] = -1
    target[1] = vocabulary - 1
    return scale * x, weight * width**-0.5, target


def by_torch(x, weight, target, smoothing):
    return F.cross_entropy(F.linear(x, weight), target, ignore_index=-1, label_smoothing=smoothing)


def outcome(function, x, weight, target, smoothing, dtype=torch.float32, factor=1.0):
    x, weight = (tensor.detach().to(dtype).requires_grad_() for tensor in (x, weight))
    loss = function(x, weight, target, smoothing)
    (factor * loss).backward()
    return loss.detach(), x.grad, weight.grad


def rms(x):
    return x.double().pow(2).mean().sqrt().item()


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(2, 2, 3), (50, 17, 8), (300, 1003, 16), (40, 8000, 32)], ids=str)
def test_it_is_as_exact_as_torch(shape, smoothing, scale, monkeypatch):
    monkeypatch.setattr(cross_entropy, "_LOGITS", 100_000)  # several pieces, the last one smaller
    given = (*inputs(*shape, scale), smoothing)
    exact, theirs = outcome(by_torch, *given, dtype=torch.float64), outcome(by_torch, *given)
    for ours, torchs, right in zip(outcome(linear_cross_entropy, *given), theirs, exact, strict=True):
        assert rms(ours - right) <= max(2 * rms(torchs - right), 3e-7 * rms(right))


def test_a_factor_reaches_the_gradient():
    given = (*inputs(30, 50, 8), 0.1)
    for ours, theirs in zip(
        outcome(linear_cross_entropy, *given, factor=3.0), outcome(by_torch, *given, factor=3.0), strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_without_a_gradient_there_is_none():
    with torch.no_grad():
        x, weight, target = inputs(30, 50, 8)
        assert torch.allclose(linear_cross_entropy(x, weight, target, 0.1), by_torch(x, weight, target, 0.1))


def test_bad_numbers_are_seen():
    for bad in (torch.nan, torch.inf):
        x, weight, target = inputs(30, 50, 8)
        x[1, 2] = bad
        assert not linear_cross_entropy(x, weight, target, 0.1).isfinite()


def test_what_the_loops_do_not_take_goes_through_torch():
    x, weight, target = inputs(30, 50, 8)
    loss = linear_cross_entropy(x.double(), weight.double(), target, 0.1)
    assert loss.dtype == torch.float64
    assert torch.equal(loss, by_torch(x.double(), weight.double(), target, 0.1))


@pytest.mark.parametrize("vocabulary", [5, 32, 1003])
def test_half_precise_logits_give_what_the_same_numbers_give_in_float32(vocabulary):
    _, _, target = inputs(40, vocabulary, 8)
    half = (5 * torch.randn(40, vocabulary)).bfloat16()
    precise = half.float()
    losses = torch.empty(2, 40)
    for logits, loss in zip((half, precise), losses, strict=True):
        cross_entropy._become_gradient(logits, target, loss, 0.1, 1 / 40)
    assert torch.equal(*losses)
    assert torch.equal(half, precise.bfloat16())


def test_under_autocast_only_the_products_are_half_precise():
    x, weight, target = inputs(300, 50, 16)
    right = outcome(by_torch, x, weight, target, 0.1, dtype=torch.float64)

    def half(*given):
        with torch.autocast("cpu", torch.bfloat16):
            return linear_cross_entropy(*given)

    found = outcome(half, x, weight, target, 0.1)
    assert found[0].dtype == torch.float32
    for ours, exact in zip(found, right, strict=True):
        assert 1e-5 * rms(exact) < rms(ours - exact) < 0.02 * rms(exact)
