"""Attention over shapes, masks, strides, types and magnitudes, held to the plain formula in float64; and its parts combined."""

import math

import pytest
import torch
from attention_reference import reference
from cases import cases
from hypothesis import assume
from hypothesis import strategies as st

from attncompare import Attention, attend
from attncompare.attention import KeyValueCache, causal_mask
from attncompare.attention.scores.base import make_score
from attncompare.errors import Refused

SCORES = ("additive", "dot", "scaled")  # those that the reference knows
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
MAGNITUDES = (0.0, 1e-30, 1e-3, 1.0, 20.0, 45.0, 1e4, 1e30)
LAYOUTS = ("contiguous", "as_the_module_splits", "keys_last", "one_for_all_batches", "every_second", "shifted")
RELATIONS = ("independent", "opposite", "equal", "one_giant")
seeds = st.integers(0, 2**32)


def normal(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def laid_out(x_BHTK, layout):
    """Return the numbers of ``x_BHTK``, or of its first batch row for all, in memory as ``layout`` says."""
    match layout:
        case "as_the_module_splits":
            return x_BHTK.transpose(1, 2).contiguous().transpose(1, 2)
        case "keys_last":
            return x_BHTK.transpose(2, 3).contiguous().transpose(2, 3)
        case "one_for_all_batches":
            return x_BHTK[:1].expand(x_BHTK.shape)
        case "every_second":
            return x_BHTK.repeat_interleave(2, dim=-1)[..., ::2]
        case "shifted":
            return torch.cat((x_BHTK.new_ones(1), x_BHTK.flatten()))[1:].view(x_BHTK.shape)
    return x_BHTK.contiguous()


@st.composite
def inputs(draw, dtypes=DTYPES):
    """Queries, keys, values and the gradient of the context."""
    batch, heads, width, out = (draw(st.integers(low, high)) for low, high in ((0, 3), (1, 4), (1, 9), (1, 9)))
    queries, keys = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    dtype, layouts = draw(st.sampled_from(dtypes)), [draw(st.sampled_from(LAYOUTS)) for _ in range(3)]
    sizes = [draw(st.sampled_from(MAGNITUDES)) for _ in range(3)]
    seed, relation = draw(seeds), draw(st.sampled_from(RELATIONS))
    q = sizes[0] * normal(seed, batch, heads, queries, width)
    k = sizes[1] * normal(seed + 1, batch, heads, keys, width)
    same = min(queries, keys)
    if relation in ("opposite", "equal"):  # exact cancellation, and the largest scores
        k[:, :, :same] = (-1 if relation == "opposite" else 1) * q[:, :, :same]
    elif relation == "one_giant" and same:
        k[:, :, -1] *= 1e3
    v = sizes[2] * normal(seed + 2, batch, heads, keys, out)
    q, k, v = (laid_out(x.to(dtype), layout) for x, layout in zip((q, k, v), layouts, strict=True))
    assume(all(bool(x.isfinite().all()) for x in (q, k, v)))
    return q, k, v, normal(seed + 3, batch, heads, queries, out).to(dtype)


@st.composite
def masks(draw, batch, heads, queries, keys):
    """None, or a boolean mask that broadcasts to (B, H, T, S), with rows that may attend to nothing among others."""
    if draw(st.booleans()):
        return None
    full = (batch, heads, queries, keys)
    shape = [size if draw(st.booleans()) else 1 for size in full][draw(st.integers(0, 3)) :]
    share = draw(st.sampled_from((0.0, 0.2, 0.6, 1.0)))
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(draw(seeds))) < share
    if len(shape) > 1 and shape[-2] and draw(st.booleans()):
        mask[..., draw(st.integers(0, shape[-2] - 1)), :] = False
    return mask.transpose(-2, -1).contiguous().transpose(-2, -1) if mask.dim() > 1 and draw(st.booleans()) else mask


@st.composite
def calls(draw, dtypes=DTYPES):
    """All that a call of ``attend`` takes, and the gradient of the context."""
    q, k, v, g = draw(inputs(dtypes))
    mask = draw(masks(*q.shape[:3], k.shape[2]))
    scorer = make_score(draw(st.sampled_from(SCORES)), q.shape[1], q.shape[3]).to(q.dtype)
    return q, k, v, g, mask, scorer, draw(st.booleans())


def whole_mask(q, k, mask, causal):
    whole = torch.ones(*q.shape[:3], k.shape[2], dtype=torch.bool)
    whole = whole if mask is None else whole & mask
    return whole & causal_mask(q.shape[2], k.shape[2]) if causal else whole


def within(found, expected, error):
    return bool(((found.double() - expected).abs() <= error).all())


@cases(quick=250, long=5_000, call=calls(), need_weights=st.booleans())
def test_context_weights_and_gradients_are_those_of_the_formula(call, need_weights):
    q, k, v, g, mask, scorer, causal = call
    allowed = whole_mask(q, k, mask, causal)
    exact = reference(q, k, v, g, allowed, scorer)
    most = torch.finfo(q.dtype).max / 100
    assume(exact.largest_score < most)  # beyond it scores are infinite, as in any implementation
    q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
    context, weights = attend(q, k, v, scorer, mask, causal, need_weights=need_weights)
    assert context.dtype == q.dtype and context.shape == exact.context.shape
    assert within(context, exact.context, exact.context_error)
    nothing = ~allowed.any(-1)
    assert (context[nothing] == 0).all()
    assert (weights is not None) == need_weights
    if need_weights:
        assert within(weights, exact.weights, exact.weights_error)
        assert (weights >= 0).all() and (weights[~allowed] == 0).all()
        sums = weights.double().sum(-1)
        assert within(sums, (~nothing).double(), (k.shape[2] + 4) * torch.finfo(q.dtype).eps)
    # torch's fused kernels make the weights again on the way back, as e^(score - log of the sum): where rounding that
    # difference may be off by more than an exponent can be, their gradients are NaN. The explicit path has no such limit.
    fused = not need_weights and type(scorer).__name__ != "Additive"
    rounding = torch.finfo(torch.promote_types(q.dtype, torch.float32)).eps
    if exact.largest < most and not (fused and exact.largest_score * rounding > 20):
        for found, expected, error in zip(
            torch.autograd.grad(context, (q, k, v), g), exact.gradients, exact.gradient_errors, strict=True
        ):
            assert within(found, expected, error)


@cases(quick=80, long=2_000, call=calls(), need_weights=st.booleans(), data=st.data())
def test_the_future_changes_no_bit_of_the_past(call, need_weights, data):
    q, k, v, _, mask, scorer, _ = call
    queries, keys = q.shape[2], k.shape[2]
    assume(queries and keys)
    now = data.draw(st.integers(0, queries - 1))
    seen = max(0, now + 1 + keys - queries)
    size = data.draw(st.sampled_from((1.0, 100.0)))
    k, v = k.clone(), v.clone()  # may be written to, and lie in memory as their changed copies do
    before = attend(q, k, v, scorer, mask, True, need_weights=need_weights)
    for changed in (k, v):
        changed[:, :, seen:] = (size * normal(7, *changed[:, :, seen:].shape)).to(changed.dtype)
    after = attend(q, k, v, scorer, mask, True, need_weights=need_weights)
    for old, new in zip(before, after, strict=True):
        if old is not None:
            assert torch.equal(old[:, :, : now + 1].nan_to_num(), new[:, :, : now + 1].nan_to_num())


@cases(
    quick=60,
    long=5_000,
    sizes=st.tuples(st.integers(1, 33), st.integers(1, 9), st.none() | st.integers(1, 16)),
    lengths=st.tuples(st.integers(0, 3), st.integers(0, 9), st.none() | st.integers(0, 9)),
    score=st.sampled_from(SCORES),
    causal=st.booleans(),
    seed=seeds,
    data=st.data(),
)
def test_the_module_is_its_projections_around_the_formula(sizes, lengths, score, causal, seed, data):
    (d_model, heads, head_dim), (batch, queries, keys) = sizes, lengths
    attention = Attention(d_model, heads, head_dim, score, causal).double()
    assert attention.head_dim == (head_dim or math.ceil(d_model / heads))
    query, memory = normal(seed, batch, queries, d_model), None if keys is None else normal(seed, batch, keys, d_model)
    mask = data.draw(masks(batch, heads, queries, queries if keys is None else keys))
    need_weights = data.draw(st.booleans())
    with torch.no_grad():
        output, weights = attention(query, memory, mask, need_weights)
        read = query if memory is None else memory
        q, k, v = (
            layer(x).unflatten(-1, (heads, -1)).transpose(1, 2)
            for layer, x in ((attention.query, query), (attention.key, read), (attention.value, read))
        )
    allowed = whole_mask(q, k, mask, causal and memory is None)
    exact = reference(q, k, v, torch.zeros_like(q), allowed, attention.score)
    expected = attention.output(exact.context.transpose(1, 2).flatten(2))
    torch.testing.assert_close(output, expected.detach(), rtol=1e-10, atol=1e-12)
    assert (weights is not None) == need_weights
    if need_weights:
        torch.testing.assert_close(weights, exact.weights, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_the_formula_itself_on_two_keys_by_hand(score):
    scorer = make_score(score, 1, 1).double()
    q, k, v = (torch.tensor(x, dtype=torch.float64).view(1, 1, -1, 1) for x in ([0.5], [1.0, -1.0], [3.0, 7.0]))
    plain = {"additive": lambda k: scorer.v_HK.item() * math.tanh(0.5 + k)}.get(score, lambda k: 0.5 * k)
    first = math.exp(plain(1.0)) / (math.exp(plain(1.0)) + math.exp(plain(-1.0)))
    exact = reference(q, k, v, torch.ones_like(q), torch.ones(1, 1, 1, 2, dtype=torch.bool), scorer)
    assert exact.weights.flatten().tolist() == pytest.approx([first, 1 - first], rel=1e-14)
    assert exact.context.item() == pytest.approx(3 * first + 7 * (1 - first), rel=1e-14)


SCORE_SECTIONS = st.sampled_from(
    (
        *("additive", "dot", "scaled", "general", "concat", "cosine", "distance", "location", "random", "uniform"),
        {"name": "cosine", "temperature": 3.0, "learned": False},
        {"name": "soft_cap", "cap": 2.0, "score": "scaled"},
        {"name": "soft_cap", "cap": 2.0, "score": "random"},
        {"name": "random", "length": 64, "learned": False},
    )
)
NORMALIZER_SECTIONS = st.sampled_from(
    ("softmax", "softmax", "sink", {"name": "sink", "learned": True}, "sigmoid", "sparsemax", "entmax15", "renormalize")
)
MASK_SECTIONS = st.none() | st.one_of(
    st.builds(
        lambda window, sinks: {"name": "window", "window": window, "sinks": sinks}, st.integers(1, 6), st.integers(0, 3)
    ),
    st.builds(lambda length: {"name": "prefix", "length": length}, st.integers(1, 6)),
    st.builds(lambda stride: {"name": "strided", "stride": stride}, st.integers(1, 6)),
    st.builds(
        lambda size, summary: {"name": "block", "size": size, "summary": summary}, st.integers(1, 6), st.integers(0, 2)
    ),
)
POSITION_SECTIONS = st.sampled_from(
    (
        None,
        None,
        "rotary",
        "alibi",
        "t5",
        {"name": "t5", "buckets": 4, "farthest": 8},
        "shaw",
        {"name": "shaw", "farthest": 2},
    )
)


@st.composite
def modules(draw):
    """An attention module in float64 of any parts that go together, with drawn parameters."""
    groups, shared = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    settings = {
        "heads": groups * shared,
        "kv_heads": draw(st.sampled_from((None, groups))),
        "head_dim": 4 * draw(st.integers(1, 2)),
        "value_dim": draw(st.sampled_from((None, 1, 5))),
        "score": draw(SCORE_SECTIONS),
        "normalizer": draw(NORMALIZER_SECTIONS),
        "mask": draw(MASK_SECTIONS),
        "positions": draw(POSITION_SECTIONS),
        "latent": draw(st.sampled_from((None, None, 3))),
        "gate": draw(st.sampled_from((None, "elementwise", "headwise"))),
        "bias": draw(st.booleans()),
        **draw(st.sampled_from(({}, {}, {"talking_heads": True}, {"differential": True}, {"stacked": True}))),
    }
    seed = draw(seeds)
    try:
        attention = Attention(6, causal=draw(st.booleans()), **settings).double().eval()
    except Refused as refused:
        # Heads that share parameters; scores that rotations change.
        assert "stacked" in str(refused) or "turned alike" in str(refused), refused
        assume(False)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return attention


def who_sees_whom(attention, length):
    """Return what causality and the mask of a module leave, (T, T)."""
    position_T = torch.arange(length)
    visible_TT = torch.ones(length, length, dtype=torch.bool)
    in_order = attention.causal
    if attention.mask is not None:
        visible_TT = attention.mask.visible(position_T[:, None], position_T, attention.causal)
        in_order = in_order and not attention.mask.sees_future
    return visible_TT & causal_mask(length, length) if in_order else visible_TT


@cases(quick=150, long=5_000, attention=modules(), length=st.integers(1, 14), seed=seeds, data=st.data())
def test_any_parts_together_keep_the_laws_of_attention(attention, length, seed, data):
    x = normal(seed, 2, length, 6)
    mask = data.draw(masks(2, attention.heads, length, length), "mask")
    # Mixtures of heads give each what the others see.
    assume(attention.after is None or mask is None or mask.ndim < 3 or mask.shape[-3] == 1)
    visible = who_sees_whom(attention, length).expand(2, attention.heads, length, length)
    visible = visible if mask is None else visible & mask
    exact = attention.normalizer.hidden_cancel is False
    x.requires_grad_()
    explicit, weights = attention(x, may_attend=mask, need_weights=True)
    fast, _ = attention(x, may_attend=mask)
    torch.testing.assert_close(fast, explicit, rtol=1e-8, atol=1e-10)
    inputs = [x, *(one for one in attention.parameters() if one.requires_grad)]
    found, expected = (
        torch.autograd.grad(y, inputs, normal(seed + 1, *y.shape), allow_unused=True) for y in (fast, explicit)
    )
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)
    # What is hidden has no weight, and a query that sees nothing no context.
    assert (weights[~visible] == 0).all()
    blind = ~visible.any(-1).any(1)
    nothing = torch.zeros(6) if attention.output.bias is None else attention.output.bias
    assert (explicit[blind] == nothing).all()
    # A position changes the outputs of those that see it, and no bit of the others'.
    where = data.draw(st.integers(0, length - 1), "changed")
    changed = x.detach().clone()
    changed[:, where] = normal(seed + 2, 2, 6)
    for need_weights, before in ((True, explicit), (False, fast)):
        apart = (attention(changed, may_attend=mask, need_weights=need_weights)[0] - before).abs().amax(-1)
        unseen = ~visible[..., where].any(1)
        unseen[:, where] = False
        assert (apart[unseen] <= (0 if exact else 1e-7)).all()


@cases(quick=60, long=3_000, attention=modules(), length=st.integers(1, 60), steps=st.integers(1, 7), seed=seeds)
@torch.no_grad()
def test_any_parts_together_decode_with_a_cache_as_without(attention, length, steps, seed):
    attention.causal = True
    x = normal(seed, 2, length, 6)
    whole, cache, start = attention(x)[0], KeyValueCache(), 0
    sees_future = attention.mask is not None and attention.mask.sees_future
    while start < length:
        end = start + (max(steps, attention.mask.length) if sees_future and not start else steps)
        part, _ = attention(x[:, start:end], cache=cache)
        torch.testing.assert_close(part, whole[:, start:end], rtol=1e-7, atol=1e-9)
        start = end
        if start < length and start % 3 == 0:  # as beam search does
            rows = torch.tensor([1, 0])
            cache.keep(rows)
            x, whole = x[rows], whole[rows]
