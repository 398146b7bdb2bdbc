"""The tiled additive scores against the plain formula: same numbers, bounded memory."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from attncompare.attention.kernels import additive_scores as additive_kernel
from attncompare.attention.kernels.additive_scores import additive_scores

B, H, T, S, K = 2, 3, 7, 5, 4


def normal(*shape, seed=1, dtype=torch.float64, scale=1.0):
    return (scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)).to(dtype)


def inputs(b=B, h=H, t=T, s=S, k=K, dtype=torch.float64, scale=1.0):
    q_BHTK, k_BHSK = normal(b, h, t, k, dtype=dtype, scale=scale), normal(b, h, s, k, seed=2, dtype=dtype, scale=scale)
    return q_BHTK, k_BHSK, normal(h, k, seed=3, dtype=dtype, scale=k**-0.5)


def plain(q_BHTK, k_BHSK, v_HK):
    return ((q_BHTK[:, :, :, None] + k_BHSK[:, :, None]).tanh() * v_HK[None, :, None, None]).sum(-1)


def with_gradients(scores_of, tensors):
    tensors = [tensor.clone().requires_grad_() for tensor in tensors]
    scores_BHTS = scores_of(*tensors)
    d_scores_BHTS = normal(*scores_BHTS.shape, seed=4, dtype=torch.bfloat16).to(
        scores_BHTS.dtype
    )  # the same in any type
    return scores_BHTS, *torch.autograd.grad(scores_BHTS, tensors, d_scores_BHTS)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-13), (torch.float32, 5e-6)], ids=str)
@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize("tile", [1, S * K * T, 1 << 18])  # cut in T, in N, all in one
def test_tiles_of_any_size_equal_the_plain_formula(tile, scale, dtype, tolerance, monkeypatch):
    monkeypatch.setattr(additive_kernel, "TILE_NUMBERS", tile)
    tensors = inputs(dtype=dtype, scale=scale)
    found = with_gradients(additive_scores, tensors)
    for a, b in zip(found, with_gradients(plain, [x.double() for x in tensors]), strict=True):
        assert a.dtype == dtype
        torch.testing.assert_close(a.double(), b, rtol=tolerance, atol=tolerance)


def test_nan_is_handed_on_and_stays_where_it_is():
    q_BHTK, k_BHSK, v_HK = inputs()
    q_BHTK[0, 1, 2, 3] = torch.nan
    expected = torch.zeros(B, H, T, S, dtype=torch.bool)
    expected[0, 1, 2] = True
    assert torch.equal(additive_scores(q_BHTK, k_BHSK, v_HK).isnan(), expected)


def test_bfloat16_comes_out_as_the_rounded_float32_scores():
    tensors = inputs(dtype=torch.bfloat16)
    found, exact = with_gradients(additive_scores, tensors), with_gradients(plain, [x.double() for x in tensors])
    assert torch.equal(found[0], additive_scores(*[x.float() for x in tensors]).bfloat16())
    for a, b in zip(found, exact, strict=True):
        assert a.dtype == torch.bfloat16
        torch.testing.assert_close(a.double(), b, rtol=2**-7, atol=2**-6)


def test_autocast_does_not_take_bits_away():
    tensors = inputs(dtype=torch.float32)
    expected = with_gradients(additive_scores, tensors)
    with torch.autocast("cpu", torch.bfloat16):
        found = with_gradients(additive_scores, tensors)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("b, h, t, s", [(B, H, 0, S), (B, H, T, 0), (B, H, 0, 0), (0, H, T, S)])
def test_empty_inputs(b, h, t, s):
    scores, dq, dk, dv = with_gradients(additive_scores, inputs(b, h, t, s))
    assert scores.shape == (b, h, t, s)
    assert (dq.shape, dk.shape) == ((b, h, t, K), (b, h, s, K))
    assert not any(x.any() for x in (dq, dk, dv))


def materialized(q_BHTK, k_BHSK, v_HK):
    """The form that libraries use: the intermediate whole, then a product with v."""
    return ((q_BHTK[:, :, :, None] + k_BHSK[:, :, None]).tanh() @ v_HK[None, :, None, :, None]).squeeze(-1)


@pytest.mark.parametrize("scale", [0.01, 1, 30])
def test_errors_stay_near_those_of_the_materialized_form(scale):
    """Dao's rule for a kernel (FlashAttention): at most twice the error of the plain form."""
    tensors = inputs(2, 4, 33, 65, 32, torch.float32, scale)
    exact = with_gradients(plain, [x.double() for x in tensors])
    tiled, eager = with_gradients(additive_scores, tensors), with_gradients(materialized, tensors)
    for name, a, b, reference in zip(("scores", "dq", "dk", "dv"), tiled, eager, exact, strict=True):
        error, allowed = ((x.double() - reference).square().mean().sqrt() for x in (a, b))
        assert error <= 2 * allowed, f"{name}: {error:.2e}, the materialized form {allowed:.2e}"


class Largest(TorchDispatchMode):
    """Notes the numbers of the largest tensor that any operation makes."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result


def test_no_tensor_is_larger_than_a_tile_or_the_scores(monkeypatch):
    monkeypatch.setattr(additive_kernel, "TILE_NUMBERS", 2000)
    tensors = inputs(2, 2, 24, 24, 32, torch.float32)  # 73,728 numbers between inputs and scores
    with Largest() as largest:
        with_gradients(additive_scores, tensors)
    allowed = max(2000, 2 * 2 * 24 * 24, 2 * 2 * 24 * 32)
    assert largest.numbers <= allowed
    with Largest() as of_plain:
        with_gradients(plain, tensors)
    assert of_plain.numbers == 2 * 2 * 24 * 24 * 32


def test_gradcheck_over_several_tiles(monkeypatch):
    monkeypatch.setattr(additive_kernel, "TILE_NUMBERS", 12)
    tensors = [tensor.requires_grad_() for tensor in inputs(1, 2, 3, 2, 3)]
    assert torch.autograd.gradcheck(additive_scores, tensors)


def test_gradients_only_where_they_are_asked_for():
    q_BHTK, k_BHSK, v_HK = inputs()
    additive_scores(q_BHTK, k_BHSK.requires_grad_(), v_HK).sum().backward()
    assert k_BHSK.grad is not None
    assert q_BHTK.grad is None
