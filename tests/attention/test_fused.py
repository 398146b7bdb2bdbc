"""Each kernel of attention is its formula: as exact as the plain form, for every shape, mask, type and magnitude.

The Triton kernels run on a GPU where there is one, or in Triton's interpreter on the CPU, slowly: at small sizes.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import pytest
import torch

from attncompare.attention.kernels.build import library
from attncompare.attention.kernels.fused import additive_context, dot_context
from attncompare.attention.masks import causal_mask

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:triton.runtime.interpreter")  # infinities are meant
SHAPES = [  # batch, heads, queries, keys, width of keys, width of values
    (1, 1, 1, 1, 1, 1),
    (2, 3, 7, 19, 13, 24),
    (3, 4, 15, 15, 32, 32),
    (2, 2, 33, 70, 33, 17),
    (3, 1, 65, 16, 100, 100),
    (1, 1, 200, 65, 8, 24),
]
SMALL_SHAPES = [(2, 1, 7, 19, 3, 24), (1, 1, 35, 70, 2, 24), (1, 1, 9, 17, 20, 24), (1, 1, 4, 6, 3, 300)]
SCALE = 0.3


def by_dot(q, k, values, mask, causal, dropout):
    return dot_context(q, k, values, mask, causal, dropout, SCALE)


def by_triton(*given):
    from attncompare.attention.kernels.triton_additive import additive_context

    return additive_context(*given)


def dot_scores(q, k):
    return SCALE * q @ k.mT


def additive_scores(q, k, v):
    return ((q[:, :, :, None] + k[:, :, None]).tanh() * v[:, None, None]).sum(-1)


class Kernel(NamedTuple):
    context: Callable
    scores: Callable
    device: str = "cpu"
    shapes: list = SHAPES


DOT, ADDITIVE = Kernel(by_dot, dot_scores), Kernel(additive_context, additive_scores)
INTERPRETED = Kernel(by_triton, additive_scores, "cpu", SMALL_SHAPES)
CUDA = Kernel(by_triton, additive_scores, "cuda", SHAPES + SMALL_SHAPES)
compiled = pytest.mark.skipif(library() is None, reason="no C++ compiler")
interpreted = pytest.mark.skipif(
    find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") != "1", reason="no triton, or a GPU for it"
)
CASES = [
    pytest.param(DOT, id="dot", marks=compiled),
    pytest.param(ADDITIVE, id="additive", marks=compiled),
    pytest.param(INTERPRETED, id="interpreted", marks=interpreted),
    pytest.param(CUDA, id="cuda", marks=pytest.mark.cuda),
]
each_kernel = pytest.mark.parametrize("kernel", CASES)
each_compiled = pytest.mark.parametrize("kernel", CASES[:2])
each_shape = pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        pytest.param(case.values[0], shape, id=f"{case.id}-{'x'.join(map(str, shape))}", marks=case.marks)
        for case in CASES
        for shape in case.values[0].shapes
    ],
)


def inputs(kernel, batch, heads, queries, keys, width, values=24, scale=1.0, seed=1):
    """Queries, keys, the vector v of additive scores, values, and the gradient of the context."""
    draw = torch.Generator().manual_seed(seed)
    shapes = (batch, heads, queries, width), (batch, heads, keys, width), (heads, width), (batch, heads, keys, values)
    q, k, v, x = (torch.randn(shape, generator=draw) for shape in shapes)
    own = [] if kernel is DOT else [v * width**-0.5]
    return [scale * q, scale * k, *own, x, torch.randn(batch, heads, queries, values, generator=draw)]


def computed(kernel, *tensors_and_options):
    """Return the context, on the CPU again."""
    there = (x.to(kernel.device) if isinstance(x, torch.Tensor) else x for x in tensors_and_options)
    return kernel.context(*there).cpu()


def plain(kernel, tensors, mask=None):
    *given, values = tensors
    scores = kernel.scores(*given)
    weights = (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1)
    return (weights if mask is None else weights.masked_fill(~mask.any(-1, keepdim=True), 0)) @ values


def outcome(function, tensors, gradient, dtype=torch.float32):
    leaves = [tensor.to(dtype, copy=True).requires_grad_() for tensor in tensors]
    context = function(*leaves)
    context.backward(gradient.to(context.dtype))
    return [context.detach(), *(leaf.grad for leaf in leaves)]


def outcome_of(kernel, tensors, gradient, *options, dtype=torch.float32):
    return outcome(lambda *given: computed(kernel, *given, *options), tensors, gradient, dtype)


def same(found, other):
    return all(torch.equal(a, b) for a, b in zip(found, other, strict=True))


def rms(x):
    return x.double().pow(2).mean().sqrt().item()


def errors(found, exact):
    return torch.tensor([rms(one - other) for one, other in zip(found, exact, strict=True)])


@pytest.mark.parametrize("scale, causal", [(0.05, False), (1.0, True), (10.0, False)])
@each_shape
def test_it_is_as_exact_as_the_plain_form(kernel, shape, scale, causal):
    """Dao's rule for a kernel (FlashAttention): at most twice the error of the plain form, here over several draws."""
    ours, theirs, sizes = [], [], []
    mask = causal_mask(shape[2], shape[3]) if causal else None
    if causal and not mask.any(-1).all():
        mask[:, 0] = True  # the plain form's gradient knows no query without keys
    for seed in range(4):  # the gradient of v has few numbers
        *tensors, gradient = inputs(kernel, *shape, scale=scale, seed=seed)
        exact = outcome(lambda *given: plain(kernel, given, mask), tensors, gradient, torch.float64)
        eager = outcome(lambda *given: plain(kernel, given, mask), tensors, gradient)
        ours.append(errors(outcome_of(kernel, tensors, gradient, mask, False, 0.0), exact))
        theirs.append(errors(eager, exact))
        sizes.append(torch.tensor([rms(one) for one in exact]))
    our, their, size = (torch.stack(values).square().mean(0).sqrt() for values in (ours, theirs, sizes))
    # The second where both are all but exact, the third where a single key leaves nothing to be rounded.
    assert (our <= torch.stack((2 * their, 2e-7 * size, torch.full_like(size, 1e-9))).amax(0)).all()


@each_compiled
def test_errors_do_not_grow_with_the_number_of_queries_or_keys(kernel):
    for queries, keys in ((4096, 16), (16, 4096)):
        *tensors, gradient = inputs(kernel, 1, 8, queries, keys, 4)
        exact = outcome(lambda *given: plain(kernel, given), tensors, gradient, torch.float64)
        theirs = errors(outcome(lambda *given: plain(kernel, given), tensors, gradient), exact)
        assert (errors(outcome_of(kernel, tensors, gradient, None, False, 0.0), exact) <= 2 * theirs).all()


@each_kernel
def test_causal_is_the_mask_and_masks_may_have_any_strides(kernel):
    *tensors, gradient = inputs(kernel, 2, 1, 40, 35, 2)
    draw = torch.Generator().manual_seed(2)
    for mask in (
        torch.rand(40, 35, generator=draw) > 0.5,
        torch.rand(2, 1, 1, 35, generator=draw) > 0.5,
        (torch.rand(35, 2, 1, 1, generator=draw) > 0.5).permute(1, 3, 2, 0),
    ):
        both = (mask & causal_mask(40, 35)).expand(2, 1, 40, 35).contiguous()
        found = outcome_of(kernel, tensors, gradient, mask, True, 0.0)
        assert same(found, outcome_of(kernel, tensors, gradient, both, False, 0.0))
        blind = ~both.any(-1)
        assert blind.any() and found[0][blind].eq(0).all() and found[1][blind].eq(0).all()
        assert all(one.isfinite().all() for one in found)


@compiled
def test_neither_the_rest_of_the_batch_nor_padding_changes_a_bit():
    *tensors, gradient = inputs(DOT, 5, 3, 20, 31, 24)
    whole = outcome_of(DOT, tensors, gradient, None, False, 0.0)
    alone = outcome_of(DOT, [tensor[2:3] for tensor in tensors], gradient[2:3], None, False, 0.0)
    assert same([one[2:3] for one in whole], alone)
    q, *read = tensors
    wider = [torch.cat((tensor, 100 * torch.randn(5, 3, 30, 24)), dim=2) for tensor in read]
    padded = outcome_of(DOT, [q, *wider], gradient, (torch.arange(61) < 31)[None], False, 0.0)
    for one, other in zip(padded, whole, strict=True):
        torch.testing.assert_close(one[:, :, : other.shape[2]], other, atol=1e-6, rtol=1e-5)
        assert (one[:, :, other.shape[2] :] == 0).all()


@each_kernel
def test_opposite_extremes_meet(kernel):
    if kernel is DOT:
        pytest.skip("a product has none")
    q, k, v = torch.tensor([30.0, -300.0]), torch.tensor([-29.0, 299.5, -31.0]), torch.ones(1, 1)
    values = torch.eye(3)[None, None]
    context = computed(kernel, q[None, None, :, None], k[None, None, :, None], v, values, None, False, 0.0)
    assert torch.allclose(context[0, 0], (q[:, None] + k).tanh().softmax(-1), atol=1e-6)


@each_kernel
@pytest.mark.parametrize("odd", [torch.inf, -torch.inf, torch.nan, 1e30, 50.0])
def test_odd_numbers_touch_only_what_they_meet(kernel, odd):
    *tensors, _ = inputs(kernel, 1, 1, 6, 40, 8)
    before = computed(kernel, *tensors, None, False, 0.0)
    tensors[0][0, 0, 2, 3] = odd
    after = computed(kernel, *tensors, None, False, 0.0)
    rest = [0, 1, 3, 4, 5]
    assert torch.equal(before[0, 0, rest], after[0, 0, rest])
    expected = plain(kernel, [tensor.double() for tensor in tensors])
    assert torch.allclose(after.double(), expected, atol=1e-6, equal_nan=True)


@each_compiled
def test_threads_and_repetition_change_no_bit(kernel):
    *tensors, gradient = inputs(kernel, 1, 1, 300, 90, 16)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 1, 2, 3):
            torch.set_num_threads(count)
            torch.manual_seed(5)
            found.append(outcome_of(kernel, tensors, gradient, None, True, 0.3))
    finally:
        torch.set_num_threads(threads)
    assert all(same(found[0], again) for again in found[1:])


@each_kernel
def test_dropout_drops_the_weights_that_the_explicit_path_drops(kernel):
    from attncompare.attention.kernels.dropout import drop_weights

    *tensors, gradient = inputs(kernel, 2, 2, 20, 35, 2)

    def explicit(*given):
        return drop_weights(kernel.scores(*given[:-1]).softmax(-1), 0.4) @ given[-1]

    found = []
    for function in (lambda *given: computed(kernel, *given, None, False, 0.4), explicit):
        torch.manual_seed(6)
        found.append(outcome(function, tensors, gradient))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=2e-5)


@each_kernel
def test_half_precision_goes_in_and_comes_out(kernel):
    *tensors, gradient = (tensor.bfloat16() for tensor in inputs(kernel, 1, 2, 5, 20, 8))
    found = outcome_of(kernel, tensors, gradient, None, False, 0.0, dtype=torch.bfloat16)
    precise = outcome_of(kernel, tensors, gradient, None, False, 0.0)
    assert all(one.dtype == torch.bfloat16 for one in found)
    for one, other in zip(found, precise, strict=True):
        assert torch.allclose(one, other.bfloat16(), atol=1e-3)
    assert kernel is not DOT or same(found, [one.bfloat16() for one in precise])
    tensors[-1][..., 0], tensors[-1][..., 1] = torch.nan, -torch.inf
    context = computed(kernel, *tensors, None, False, 0.0)
    assert context[..., 0].isnan().all() and (context[..., 1] == -torch.inf).all() and context[..., 2:].isfinite().all()


@each_compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_it_reads_and_gives_views_of_heads_beside_each_other(kernel, dtype):
    *tensors, gradient = inputs(kernel, 2, 3, 7, 19, 13)
    apart = outcome_of(kernel, tensors, gradient, None, False, 0.0, dtype=dtype)
    leaves = [
        (tensor.transpose(1, 2).contiguous() if tensor.dim() == 4 else tensor.clone()).to(dtype).requires_grad_()
        for tensor in tensors
    ]
    views = [leaf.transpose(1, 2) if leaf.dim() == 4 else leaf for leaf in leaves]
    context = kernel.context(*views, None, False, 0.0)
    context.backward(gradient.to(dtype).transpose(1, 2).contiguous().transpose(1, 2))
    grads = [leaf.grad.transpose(1, 2) if leaf.dim() == 4 else leaf.grad for leaf in leaves]
    assert same(apart, [context.detach(), *grads])
    assert context.transpose(1, 2).is_contiguous()


@each_kernel
@pytest.mark.parametrize("sizes", [(1, 0, 3), (1, 3, 0), (0, 3, 3), (1, 0, 0)])
def test_nothing_gives_nothing(kernel, sizes):
    batch, queries, keys = sizes
    *tensors, gradient = inputs(kernel, batch, 2, queries, keys, 4)
    context, *gradients = outcome_of(kernel, tensors, gradient, None, False, 0.0)
    assert context.shape == gradient.shape
    assert not any(found.any() for found in (context, *gradients))
