"""Each kernel of additive attention is the formula: as exact as the plain form, for every shape, mask and magnitude.

The kernels for the GPU run there, or in Triton's interpreter on the CPU, slowly: at small sizes.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import pytest
import torch

from attncompare.attention.masks import causal_mask
from attncompare.attention.kernels.fused import additive_context as on_cpu
from attncompare.attention.kernels.build import library

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter")  # infinities are meant
SHAPES = [
    (1, 1, 1, 1, 1),
    (2, 3, 7, 19, 13),
    (1, 4, 50, 50, 32),
    (2, 2, 9, 70, 33),
    (3, 1, 33, 16, 100),
    (1, 1, 200, 65, 8),
]
SMALL_SHAPES = [(2, 3, 7, 19, 3), (1, 1, 35, 70, 5), (2, 1, 9, 17, 20), (1, 1, 4, 6, 3, 300)]


def on_gpu(*given):
    from attncompare.attention.kernels.triton_additive import additive_context

    return additive_context(*given)


class Kernel(NamedTuple):
    context: Callable
    device: str
    shapes: list


NATIVE = Kernel(on_cpu, "cpu", SHAPES)
INTERPRETED = Kernel(on_gpu, "cpu", SMALL_SHAPES)
CUDA = Kernel(on_gpu, "cuda", SHAPES + SMALL_SHAPES)
compiled = pytest.mark.skipif(library() is None, reason="no C++ compiler")
interpreted = pytest.mark.skipif(
    find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") != "1", reason="no triton, or a GPU for it"
)
CASES = [
    pytest.param(NATIVE, id="native", marks=compiled),
    pytest.param(INTERPRETED, id="interpreted", marks=interpreted),
    pytest.param(CUDA, id="cuda", marks=pytest.mark.cuda),
]
each_kernel = pytest.mark.parametrize("kernel", CASES)
each_shape = pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        pytest.param(case.values[0], shape, id=f"{case.id}-{'x'.join(map(str, shape))}", marks=case.marks)
        for case in CASES
        for shape in case.values[0].shapes
    ],
)


def inputs(batch, heads, queries, keys, width, values=24, scale=1.0, seed=1):
    draw = torch.Generator().manual_seed(seed)
    shapes = (batch, heads, queries, width), (batch, heads, keys, width), (heads, width), (batch, heads, keys, values)
    q, k, v, x = (torch.randn(shape, generator=draw) for shape in shapes)
    return scale * q, scale * k, v * width**-0.5, x, torch.randn(batch, heads, queries, values, generator=draw)


def computed(kernel, *tensors_and_options):
    """Return the context, on the CPU again."""
    there = (x.to(kernel.device) if isinstance(x, torch.Tensor) else x for x in tensors_and_options)
    return kernel.context(*there).cpu()


def plain(q, k, v, values, mask=None):
    scores = ((q[:, :, :, None] + k[:, :, None]).tanh() * v[:, None, None]).sum(-1)
    weights = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    weights = weights.softmax(-1)
    return (weights if mask is None else weights.masked_fill(~mask.any(-1, keepdim=True), 0)) @ values


def outcome(function, tensors, gradient, *options, dtype=torch.float32):
    leaves = [tensor.to(dtype, copy=True).requires_grad_() for tensor in tensors]
    context = function(*leaves, *options)
    context.backward(gradient.to(dtype))
    return [context.detach(), *(leaf.grad for leaf in leaves)]


def outcome_of(kernel, tensors, gradient, *options):
    return outcome(lambda *given: computed(kernel, *given), tensors, gradient, *options)


def rms(x):
    return x.double().pow(2).mean().sqrt().item()


def error(found, exact):
    return [rms(one - other) for one, other in zip(found, exact, strict=True)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [0.05, 1.0, 10.0])
@each_shape
def test_it_is_as_exact_as_the_plain_form(kernel, shape, scale, causal):
    """Dao's rule for a kernel (FlashAttention): at most twice the error of the plain form, here over several draws."""
    ours, theirs, sizes = [], [], []
    mask = causal_mask(shape[2], shape[3])
    if causal and not mask.any(-1).all():
        mask[:, 0] = True  # the plain form's gradient knows no query without keys
    for seed in range(4):  # the gradient of v has few numbers
        *tensors, gradient = inputs(*shape, scale=scale, seed=seed)
        exact = outcome(plain, tensors, gradient, *[mask] * causal, dtype=torch.float64)
        eager = outcome(plain, tensors, gradient, *[mask] * causal)
        found = outcome_of(kernel, tensors, gradient, mask if causal else None, False, 0.0)
        ours.append(error(found, exact))
        theirs.append(error(eager, exact))
        sizes.append([rms(one) for one in exact])
    for our, their, size in zip(*map(over_draws, (ours, theirs, sizes)), strict=True):
        assert our <= max(2 * their, 2e-7 * size), "the second where both are all but exact"


@compiled
def test_errors_do_not_grow_with_the_number_of_queries():
    """The gradients of keys and values are sums over all queries."""
    *tensors, gradient = inputs(1, 8, 4096, 16, 4)  # eight heads: no head's queries are shared among tasks
    exact = outcome(plain, tensors, gradient, dtype=torch.float64)
    theirs = error(outcome(plain, tensors, gradient), exact)
    ours = error(outcome_of(NATIVE, tensors, gradient, None, False, 0.0), exact)
    assert all(our <= 2 * their for our, their in zip(ours, theirs, strict=True)), (ours, theirs)


def over_draws(errors_by_draw):
    return [rms(torch.tensor(errors)) for errors in zip(*errors_by_draw, strict=True)]


@each_kernel
def test_causal_is_the_mask_and_masks_may_have_any_strides(kernel):
    *tensors, gradient = inputs(2, 1, 40, 35, 2)
    draw = torch.Generator().manual_seed(2)
    for mask in (
        torch.rand(40, 35, generator=draw) > 0.5,
        (torch.rand(35, 2, 1, 1, generator=draw) > 0.5).permute(1, 3, 2, 0),
    ):
        both = (mask & causal_mask(40, 35)).expand(2, 1, 40, 35).contiguous()
        found = outcome_of(kernel, tensors, gradient, mask, True, 0.0)
        same = outcome_of(kernel, tensors, gradient, both, False, 0.0)
        assert all(torch.equal(one, other) for one, other in zip(found, same, strict=True))
        blind = ~both.any(-1)
        assert blind.any() and found[0][blind].eq(0).all(), "who may attend to nothing gets zeros"


@each_kernel
def test_opposite_extremes_meet(kernel):
    q, k, v = torch.tensor([30.0, -300.0]), torch.tensor([-29.0, 299.5, -31.0]), torch.ones(1, 1)
    values = torch.eye(3)[None, None]
    context = computed(kernel, q[None, None, :, None], k[None, None, :, None], v, values, None, False, 0.0)
    expected = (q[:, None] + k).tanh().softmax(-1)
    assert torch.allclose(context[0, 0], expected, atol=1e-6)


@each_kernel
@pytest.mark.parametrize("odd", [torch.inf, -torch.inf, torch.nan, 1e30, 50.0])
def test_odd_numbers_touch_only_what_they_meet(kernel, odd):
    *tensors, _ = inputs(1, 1, 6, 40, 8)
    before = computed(kernel, *tensors, None, False, 0.0)
    tensors[0][0, 0, 2, 3] = odd
    after = computed(kernel, *tensors, None, False, 0.0)
    others = [0, 1, 3, 4, 5]
    assert torch.equal(before[0, 0, others], after[0, 0, others])
    exact = plain(*(tensor.double() for tensor in tensors))
    assert torch.allclose(after.double(), exact, atol=1e-6, equal_nan=True)


@compiled
def test_the_number_of_threads_changes_no_bit():
    *tensors, gradient = inputs(1, 1, 300, 90, 16)
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            torch.manual_seed(5)
            found.append(outcome_of(NATIVE, tensors, gradient, None, True, 0.3))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for again in found[1:] for one, other in zip(found[0], again, strict=True))


@each_kernel
def test_repetition_changes_no_bit(kernel):
    *tensors, gradient = inputs(1, 2, 40, 35, 3)
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        found.append(outcome_of(kernel, tensors, gradient, None, True, 0.3))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@each_kernel
def test_dropout_drops_its_share_and_the_rest_makes_up_for_it(kernel):
    heads = 1 if kernel is INTERPRETED else 16
    *tensors, _ = inputs(1, heads, 64, 64, 2)
    tensors[3] = torch.eye(64).expand(1, heads, 64, 64)  # so that the context is the weights
    whole = computed(kernel, *tensors, None, False, 0.0)
    dropped = computed(kernel, *tensors, None, False, 0.25)
    kept = dropped != 0
    assert kept.float().mean() == pytest.approx(0.75, abs=0.02 / heads**0.5)
    assert torch.allclose(dropped[kept], whole[kept] / 0.75)
    assert not torch.equal(dropped, computed(kernel, *tensors, None, False, 0.25))
    rows, columns = kept.float().mean(-1), kept.float().mean(-2)
    assert rows.std() < 0.08 and columns.std() < 0.08, "no row and no column is dropped more than chance has it"


@compiled
@pytest.mark.parametrize("kernel", CASES[1:])
def test_every_kernel_drops_the_same_weights(kernel):
    *tensors, gradient = inputs(2, 2, 20, 35, 2)
    found = []
    for one in (NATIVE, kernel):
        torch.manual_seed(6)
        found.append(outcome_of(one, tensors, gradient, None, False, 0.4))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@each_kernel
def test_the_gradient_under_dropout_is_that_of_what_was_dropped(kernel):
    *tensors, gradient = inputs(1, 2, 5, 20, 8)

    def dropped(*leaves):
        torch.manual_seed(3)
        return computed(kernel, *leaves, None, False, 0.4)

    eye = torch.eye(20).expand(1, 2, 20, 20)
    torch.manual_seed(3)
    factors = computed(kernel, *tensors[:3], eye, None, False, 0.4)
    factors /= computed(kernel, *tensors[:3], eye, None, False, 0.0)

    def by_hand(q, k, v, values):
        scores = ((q[:, :, :, None] + k[:, :, None]).tanh() * v[:, None, None]).sum(-1)
        return (scores.softmax(-1) * factors) @ values

    found, expected = (outcome(function, tensors, gradient) for function in (dropped, by_hand))
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=2e-5)


@each_kernel
def test_half_precision_goes_in_and_comes_out(kernel):
    *tensors, gradient = inputs(1, 2, 5, 20, 8)
    halves = [tensor.bfloat16().requires_grad_() for tensor in tensors]
    context = computed(kernel, *halves, None, False, 0.0)
    assert context.dtype == torch.bfloat16
    assert torch.allclose(context.float(), plain(*(half.float() for half in halves)), atol=0.02)
    context.backward(gradient.bfloat16())
    assert all(half.grad.dtype == torch.bfloat16 for half in halves)


@each_kernel
@pytest.mark.parametrize("sizes", [(1, 0, 3), (1, 3, 0), (0, 3, 3), (1, 0, 0)])
def test_nothing_gives_nothing(kernel, sizes):
    batch, queries, keys = sizes
    *tensors, gradient = inputs(batch, 2, queries, keys, 4)
    context, *gradients = outcome_of(kernel, tensors, gradient, None, False, 0.0)
    assert context.shape == gradient.shape
    assert not any(found.any() for found in (context, *gradients))
