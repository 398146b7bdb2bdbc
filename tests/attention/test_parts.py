"""Each part by itself: against the formula of its paper, and against what it must be where it does nothing."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode
from variants import distinct_attentions, make_attention

from attncompare.attention import Attention, KeyValueCache, Places, attend, causal_mask
from attncompare.attention.masks import make_mask
from attncompare.attention.normalizers.base import make_normalizer
from attncompare.attention.positions.base import make_positions
from attncompare.attention.scores.additive import Additive
from attncompare.attention.scores.base import make_score
from attncompare.errors import Refused
from attncompare.registry import names

D, H, K, T, S = 8, 2, 4, 5, 7
MASKS = {
    "window": {"window": 3},
    "window-sinks": {"window": 3, "sinks": 2},
    "prefix": {"length": 4},
    "strided": {"stride": 3},
    "block": {"size": 4, "summary": 1},
}


def section(name, settings):
    return {"name": name.partition("-")[0], **settings}


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn(module, seed=5):
    """Return a module in float64 whose parameters are all drawn."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.double().parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


def attention_with(values=None, **settings):
    """Return an attention module with drawn parameters, those of ``values`` where it has some of the same name."""
    attention = drawn(Attention(D, **{"heads": H, **settings}))
    if values is not None:
        attention.load_state_dict({**attention.state_dict(), **values.state_dict()}, strict=False)
    return attention


def assert_same(one, other, x_BTD=None, **options):
    x_BTD = normal(2, 9, D) if x_BTD is None else x_BTD
    for need_weights in (False, True):
        torch.testing.assert_close(
            one(x_BTD, need_weights=need_weights, **options), other(x_BTD, need_weights=need_weights, **options)
        )


def published_score(name, score, h, t, s, q, k):  # noqa: PLR0911
    """One score of the query q at t and the key k at s, with the parameters of head h."""
    match name:
        case "dot":
            return q @ k
        case "scaled":
            return q @ k / K**0.5
        case "additive":
            return score.v_HK[h] @ (q + k).tanh()
        case "general":
            return q @ score.w_HKK[h] @ k
        case "concat":
            return score.v_HK[h] @ (torch.cat((q, k)) @ torch.cat((score.w_2HKK[0, h], score.w_2HKK[1, h]))).tanh()
        case "location":
            return score.w_HSK[h, s] @ q
        case "cosine":
            return score.g * F.cosine_similarity(q, k, dim=0)
        case "distance":
            return -(torch.cdist(q[None], k[None])[0, 0] ** 2) / K**0.5
        case "soft_cap":
            return 50 * (q @ k / K**0.5 / 50).tanh()
        case "random":
            return score.r_HTS[h, t, s]
        case "uniform":
            return torch.zeros((), dtype=torch.float64)
    return pytest.skip(f"{name} has its formula in a test of its own")


@pytest.mark.parametrize("name", sorted(names("scores")))
def test_scores_are_those_of_their_formulas(name):
    score = drawn(make_score(name, H, K))
    q, k = 5 * normal(2, H, T, K), 5 * normal(2, H, S, K, seed=2)
    found = score(q, k)
    for b, h, t, s in torch.cartesian_prod(*map(torch.arange, (2, H, T, S))).tolist():
        expected = published_score(name, score, h, t, s, q[b, h, t], k[b, h, s])
        torch.testing.assert_close(found[b, h, t, s], expected)
    places = Places(0, T, S, q.device)
    for part in (slice(0, 2), slice(2, T)):
        torch.testing.assert_close(score.at(q[:, :, part], k, places.some(part)), found[:, :, part])


@pytest.mark.parametrize("section", [*sorted(names("scores")), {"name": "soft_cap", "score": "general"}], ids=str)
def test_rotary_positions_take_the_scores_that_stay_the_same_when_query_and_key_are_turned_alike(section):
    score = drawn(make_score(section, H, K))
    q, k, (turn_KK, _) = normal(2, H, T, K), normal(2, H, S, K, seed=2), torch.linalg.qr(normal(K, K, seed=3))
    reads_both = not isinstance(section, str) or section not in ("location", "random", "uniform")
    same = reads_both and torch.allclose(score(q @ turn_KK, k @ turn_KK), score(q, k))
    assert score.rotation_invariant == same
    if same:
        attention_with(score=section, positions="rotary")
    else:
        with pytest.raises(Refused, match="Rotary.*turned alike.*" + type(score).__name__):
            attention_with(score=section, positions="rotary")


@pytest.mark.parametrize("name", ["location", "random"])
def test_a_sequence_that_is_too_long_for_a_score_of_positions_is_refused(name):
    attention, short = attention_with(score={"name": name, "length": 6}), normal(1, 6, D)
    attention(short)
    with pytest.raises(Refused, match=rf"7 tokens.*'{name}'.*length of 6"):
        attention(normal(1, 7, D))


def test_a_capped_score_is_capped_and_costs_what_its_score_costs():
    q, k = 100 * normal(1, H, T, K), normal(1, H, S, K, seed=2)
    general = make_score("general", H, K)
    capped = make_score({"name": "soft_cap", "cap": 2.0, "score": "general"}, H, K).double()
    assert capped(q, k).abs().max() <= 2
    assert capped.flops_per_query() == general.flops_per_query() > 0
    assert capped.flops_per_score() > general.flops_per_score()


def visible_keys(scores_BHTS, mask, weigh):
    """Return the weights of each query, made of the scores of the keys that it sees alone."""
    weights_BHTS = torch.zeros_like(scores_BHTS)
    for row, allowed, weights in zip(
        scores_BHTS.flatten(0, 2), mask.expand_as(scores_BHTS).flatten(0, 2), weights_BHTS.flatten(0, 2), strict=True
    ):
        if allowed.any():
            weights[allowed] = weigh(row[allowed])
    return weights_BHTS


def sparsemax(scores_S):
    """Martins and Astudillo 2016, algorithm 1."""
    sorted_S = scores_S.sort(descending=True).values
    number_S = torch.arange(1, len(scores_S) + 1)
    support = int((1 + number_S * sorted_S > sorted_S.cumsum(0)).sum())
    return (scores_S - (sorted_S[:support].sum() - 1) / support).clamp(min=0)


def entmax15(scores_S):
    """The threshold of Peters et al. 2019, equation 10, found by halving."""
    half_S = scores_S / 2
    low, high = half_S.max() - 1, half_S.max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if (half_S - middle).clamp(min=0).square().sum() >= 1 else (low, middle)
    return (half_S - low).clamp(min=0).square()


NORMALIZER_FORMULAS = {  # of the scores of the keys that a query sees
    "softmax": lambda scores_S: scores_S.exp() / scores_S.exp().sum(),
    "renormalize": lambda scores_S: scores_S.exp() / scores_S.exp().sum(),
    "sink": lambda scores_S: scores_S.exp() / (1 + scores_S.exp().sum()),
    "sigmoid": lambda scores_S: 1 / (1 + (-(scores_S - math.log(len(scores_S)))).exp()),
    "sparsemax": sparsemax,
    "entmax15": entmax15,
}


@pytest.mark.parametrize("name", NORMALIZER_FORMULAS)
@pytest.mark.parametrize("size", [0.1, 3])
def test_weights_are_those_of_the_normalizers_formula_over_visible_keys(name, size):
    scores, mask = size * normal(2, H, T, S), torch.rand(2, 1, T, S, generator=torch.Generator().manual_seed(2)) < 0.6
    mask[0, 0, 1] = False
    found = make_normalizer(name, H).double()(scores, mask)
    torch.testing.assert_close(found, visible_keys(scores, mask, NORMALIZER_FORMULAS[name]))
    assert torch.equal(found[0, :, 1], torch.zeros(H, S, dtype=torch.float64))
    of_all_keys = torch.tensor([True, False, True, True, False])[:, None]
    for alike in (None, of_all_keys):
        found = make_normalizer(name, H).double()(scores, alike)
        whole = (torch.tensor(True) if alike is None else alike).expand(T, S)
        torch.testing.assert_close(found, visible_keys(scores, whole, NORMALIZER_FORMULAS[name]))


def test_a_learned_sink_takes_its_share_and_at_minus_infinity_nothing():
    scores, mask = normal(2, H, T, S), causal_mask(T, S)
    sink = make_normalizer({"name": "sink", "learned": True}, H).double()
    with torch.no_grad():
        sink.b_H.copy_(torch.tensor([0.7, -torch.inf]))
    found, softmax = sink(scores, mask), make_normalizer("softmax", H)(scores, mask)
    torch.testing.assert_close(found[:, 1], softmax[:, 1])
    sums = scores[:, 0].exp().masked_fill(~mask, 0).sum(-1)
    torch.testing.assert_close(found[:, 0].sum(-1), sums / (sums + math.exp(0.7)))


def test_hiding_before_the_softmax_adds_minus_infinity_and_multiplying_with_it_gives_nan():
    scores, mask = normal(1, 1, T, T), causal_mask(T, T)
    scores[..., 2] = 0
    added = scores.masked_fill(~mask, -torch.inf).softmax(-1)
    torch.testing.assert_close(make_normalizer("renormalize", 1)(scores, mask), added)
    multiplied = scores * torch.ones_like(scores).masked_fill(~mask, -torch.inf)
    assert multiplied.isnan().any() and multiplied.isposinf().any()  # 0 * -inf, and negative scores
    assert multiplied.softmax(-1).isnan().any()
    # What hides after the softmax loses everything where hidden scores lie far above, but finds no NaN.
    scores[..., -1] = 1e4
    assert (make_normalizer("renormalize", 1)(scores, mask)[..., :-1, :] == 0).all()


MASK_FORMULAS = {  # which keys s the query t sees, in causal attention beside s <= t
    "window": lambda t, s: abs(t - s) < 3,
    "window-sinks": lambda t, s: abs(t - s) < 3 or s < 2,
    "prefix": lambda t, s: s < 4 or s <= t,
    "strided": lambda t, s: abs(t - s) < 3 or (t - s) % 3 == 0,
    "block": lambda t, s: t // 4 == s // 4 or s % 4 == 3,
}


@pytest.mark.parametrize("name", MASK_FORMULAS)
@pytest.mark.parametrize("causal", [False, True])
def test_masks_show_what_their_formulas_say_and_each_query_itself(name, causal):
    mask = section(name, MASKS[name])
    attention = attention_with(causal=causal, mask=mask)
    _, weights_BHTS = attention(normal(2, 13, D), need_weights=True)
    sees_future = make_mask(mask).sees_future
    for t in range(13):
        for s in range(13):
            expected = MASK_FORMULAS[name](t, s) and (sees_future or not causal or s <= t)
            expected = expected or (sees_future and not causal)
            assert (weights_BHTS[:, :, t, s] > 0).all() == expected, (t, s)
            assert t != s or expected


@pytest.mark.parametrize(
    "mask",
    [
        {"name": "window", "window": 9},
        {"name": "window", "window": 1, "sinks": 9},
        {"name": "strided", "stride": 9},
        {"name": "strided", "stride": 1},
        {"name": "block", "size": 9},
        {"name": "block", "size": 2, "summary": 2},
        {"name": "prefix", "length": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("causal", [False, True])
def test_a_mask_that_hides_nothing_changes_nothing(mask, causal):
    plain = attention_with(causal=causal)
    assert_same(attention_with(plain, causal=causal, mask=mask), plain)


def positions_of(name, heads=3, width=6):
    return drawn(make_positions(name, heads, width))


@pytest.mark.parametrize("name", ["alibi", "rotary", "shaw", "t5"])
@pytest.mark.parametrize("causal", [False, True])
def test_scores_depend_on_distances_alone(name, causal):
    positions, q, k = positions_of(name), normal(2, 3, T, 6), normal(2, 3, T, 6, seed=2)

    def scores(shift):
        position_T = torch.arange(shift, shift + T)
        places = Places(shift, T, T, q.device, held=position_T)
        turned_q, turned_k = positions.turned(q, position_T), positions.turned(k, position_T)
        bias = positions.bias(turned_q, places, causal)
        return turned_q @ turned_k.mT + (0 if bias is None else bias)

    torch.testing.assert_close(scores(0), scores(10_007))
    assert not torch.allclose(scores(0), q @ k.mT)
    swapped = (scores(0) - q @ k.mT).diagonal(dim1=-2, dim2=-1)  # at distance 0, alone rotary and ALiBi say nothing
    assert (swapped.abs() < 1e-9).all() == (name in ("alibi", "rotary"))


@pytest.mark.parametrize("name", sorted(names("positions")))
def test_under_a_prefix_of_the_whole_sequence_positions_know_both_sides(name):
    prefix = {"name": "prefix", "length": 20}
    assert_same(
        attention_with(positions=name, mask=prefix, causal=True),
        attention_with(positions=name),
        normal(2, 20, D, seed=3),
    )


def test_shaw_by_a_slow_loop():
    positions, q, k = (
        drawn(make_positions({"name": "shaw", "farthest": 2}, H, K)),
        normal(1, H, T, K),
        normal(1, H, T, K),
    )
    bias = positions.bias(q, Places(0, T, T, q.device), False)
    for h in range(H):
        for t in range(T):
            for s in range(T):
                vector_K = positions.a_NK[max(-2, min(2, s - t)) + 2]
                expected = q[0, h, t] @ (k[0, h, s] + vector_K) / K**0.5  # Shaw et al. 2018, equation 4
                torch.testing.assert_close(q[0, h, t] @ k[0, h, s] / K**0.5 + bias[0, h, t, s], expected)


@pytest.mark.parametrize("causal", [False, True])
def test_t5_buckets_are_those_of_the_paper(causal):
    t5, buckets, found = make_positions("t5", 1, K), 32 if causal else 16, {}
    for distance in range(-300, 301):
        (found[distance],) = t5.bucket(torch.tensor([distance]), causal).tolist()
        number = max(distance, 0) if causal else abs(distance)
        if number >= buckets // 2:  # Raffel et al. 2020, section 2.1, as their code has it
            far = math.log(number / (buckets // 2)) / math.log(128 / (buckets // 2))
            number = min(buckets // 2 + int(far * (buckets // 2)), buckets - 1)
        assert found[distance] == number + (16 if distance < 0 and not causal else 0), distance
    assert len(set(found.values())) == (32 if causal else 31)  # 0 and behind it is no distance


def test_alibi_slopes_are_the_published_ones_and_slopes_of_0_change_nothing():
    eight = [2.0**-n for n in range(1, 9)]  # Press et al. 2022, section 3
    assert make_positions("alibi", 8, K).slope_H.tolist() == eight
    twelve = eight + [2.0 ** -(n / 2) for n in (1, 3, 5, 7)]  # as in the code of the paper
    assert make_positions("alibi", 12, K).slope_H.tolist() == pytest.approx(twelve)
    plain = attention_with(causal=True)
    biased = attention_with(plain, causal=True, positions="alibi")
    assert not torch.allclose(biased(normal(1, 9, D))[0], plain(normal(1, 9, D))[0])
    biased.positions.slope_H.zero_()
    assert_same(biased, plain)


@pytest.mark.parametrize("kv_heads", [1, 2])
def test_shared_keys_and_values_are_those_of_plain_attention_with_equal_ones(kv_heads):
    shared, plain = attention_with(heads=4, kv_heads=kv_heads, causal=True), attention_with(heads=4, causal=True)
    values = shared.state_dict()
    for name in ("key", "value"):
        for kind in ("weight", "bias"):
            of_groups = values[f"{name}.{kind}"].unflatten(0, (kv_heads, -1))
            values[f"{name}.{kind}"] = of_groups.repeat_interleave(4 // kv_heads, dim=0).flatten(0, 1)
    plain.load_state_dict(values)
    assert_same(shared, plain)
    assert shared.cached_numbers() * 4 == plain.cached_numbers() * kv_heads


def test_grouped_queries_are_those_of_torch():
    q, k, v = normal(2, 6, T, K), normal(2, 2, T, K, seed=2), normal(2, 2, T, 3, seed=3)
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    for need_weights in (False, True):
        torch.testing.assert_close(attend(q, k, v, causal=True, need_weights=need_weights)[0], expected)


@pytest.mark.parametrize("gate", ["elementwise", "headwise"])
def test_an_open_gate_changes_nothing_and_a_closed_one_leaves_the_bias(gate):
    plain = attention_with()
    gated = attention_with(plain, gate=gate)
    with torch.no_grad():
        gated.gate.weight.zero_()
        gated.gate.bias.fill_(50)
    assert_same(gated, plain)
    with torch.no_grad():
        gated.gate.bias.fill_(-800)
    x_BTD = normal(2, T, D)
    torch.testing.assert_close(gated(x_BTD)[0], gated.output.bias.expand_as(x_BTD))


def test_talking_heads_begin_as_heads_that_do_not_talk():
    plain = attention_with()
    talking = attention_with(plain, talking_heads=True)
    with torch.no_grad():
        talking.before.p_HH.copy_(torch.eye(H))
        talking.after.p_HH.copy_(torch.eye(H))
    assert_same(talking, plain)


def test_latent_keys_are_those_of_the_product_of_both_maps():
    small = attention_with(latent=3, bias=False, causal=True)
    values = {name: value for name, value in small.state_dict().items() if not name.startswith("latent")}
    for name in ("key", "value"):
        values[f"{name}.weight"] = values[f"{name}.weight"] @ small.latent.weight
    plain = attention_with(bias=False, causal=True)
    plain.load_state_dict(values)
    assert_same(small, plain)


@pytest.mark.parametrize("kv_heads", [None, 2])
def test_stacked_heads_are_multihead_to_1e_6_and_have_its_parameters(kv_heads):
    settings = {"kv_heads": kv_heads, "causal": True, "positions": "alibi", "mask": {"name": "window", "window": 4}}
    plain = Attention(32, 4, **settings)
    stacked = Attention(32, 4, stacked=True, **settings)
    assert {name: value.shape for name, value in stacked.state_dict().items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
    stacked.load_state_dict(plain.state_dict())
    x_BTD, per_head = normal(2, 9, 32).float(), normal(2, 4, 9, 9, seed=3) < 1
    found, expected = (one(x_BTD, may_attend=per_head, need_weights=True) for one in (stacked, plain))
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= 1e-6
    gradients = [torch.autograd.grad(one(x_BTD)[0].square().sum(), list(one.parameters())) for one in (stacked, plain)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("kv_heads", [None, 1])
@pytest.mark.parametrize("layer", [1, 5])
def test_differential_attention_as_its_paper_writes_it(layer, kv_heads):
    attention = attention_with(differential=True, head_dim=6, value_dim=5, kv_heads=kv_heads, layer=layer)
    with torch.no_grad():
        attention.difference.lambda_4F.mul_(0.3)
    x_BTD = normal(2, T, D)
    output_BTD, weights_BHTS = attention(x_BTD, need_weights=True)
    lambda_init = 0.8 - 0.6 * math.exp(-0.3 * (layer - 1))  # Ye et al. 2024, equation 3
    q1, k1, q2, k2 = attention.difference.lambda_4F
    lambda_ = (q1 @ k1).exp() - (q2 @ k2).exp() + lambda_init  # equation 2; rows 0 and 1 are of the first softmax
    heads = []
    for h in range(H):
        of_keys = h if kv_heads is None else 0
        q_BTK = attention.query(x_BTD)[..., 6 * h : 6 * h + 6]
        k_BTK = attention.key(x_BTD)[..., 6 * of_keys : 6 * of_keys + 6]
        v_BTV = attention.value(x_BTD)[..., 5 * of_keys : 5 * of_keys + 5]
        first, second = (
            (q_BTK[..., half] @ k_BTK[..., half].mT / math.sqrt(3)).softmax(-1) for half in (slice(3), slice(3, 6))
        )
        torch.testing.assert_close(weights_BHTS[:, h], first - lambda_ * second)
        mixed_BTV = (first - lambda_ * second) @ v_BTV  # equation 1
        normed = (
            mixed_BTV / (mixed_BTV.square().mean(-1, keepdim=True) + 1e-5).sqrt() * attention.difference.norm.weight
        )
        heads.append((1 - lambda_init) * normed)
    torch.testing.assert_close(output_BTD, attention.output(torch.cat(heads, -1)))
    torch.testing.assert_close(attention(x_BTD)[0], output_BTD)


def test_both_halves_of_a_differential_head_stand_at_the_same_distances():
    alone, halved = (attention_with(head_dim=6, positions="alibi", differential=one) for one in (False, True))
    for attention in (alone, halved):
        torch.nn.init.zeros_(attention.query.weight)
        torch.nn.init.zeros_(attention.query.bias)
    weights_BHTS, expected_BHTS = (one(normal(2, T, D), need_weights=True)[1] for one in (halved, alone))
    torch.testing.assert_close(weights_BHTS / weights_BHTS.sum(-1, keepdim=True), expected_BHTS)


@pytest.mark.parametrize(
    "parts",
    [
        {"positions": "rotary", "latent": 3},
        {"positions": "t5", "differential": True},
        {"positions": "shaw"},
        {"score": {"name": "location", "length": 60}},
        {"score": {"name": "soft_cap", "score": {"name": "random", "length": 60}}},
        {"normalizer": "sigmoid"},
    ],
    ids=str,
)
def test_what_a_cache_has_forgotten_shifts_no_position_of_what_it_holds(parts):
    mask = {"name": "window", "window": 5, "sinks": 1}
    attention, x_BTD, cache = attention_with(causal=True, mask=mask, **parts), normal(1, 60, D), KeyValueCache()
    with torch.no_grad():
        one_by_one = [attention(x_BTD[:, t : t + 1], cache=cache)[0] for t in range(60)]
        torch.testing.assert_close(torch.cat(one_by_one, 1), attention(x_BTD)[0])
    assert len(cache.positions) < 60


@pytest.mark.parametrize("parts", [{}, {"differential": True}, {"stacked": True}, {"kv_heads": 1}, {"positions": "t5"}])
@pytest.mark.parametrize("shape", [(T, T), (1, T), (H, T, T), (H, 1, T), (2, 1, 1, T), (2, H, T, T)], ids=str)
def test_a_mask_of_any_shape_that_broadcasts(parts, shape):
    attention, x_BTD = attention_with(head_dim=4, **parts), normal(2, T, D)
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(5)) < 0.6
    whole = mask.expand(2, H, T, T)
    expected = attention(x_BTD, may_attend=whole, need_weights=True)
    assert (expected[1][~whole] == 0).all()
    torch.testing.assert_close(attention(x_BTD, may_attend=mask, need_weights=True), expected)
    torch.testing.assert_close(attention(x_BTD, may_attend=mask)[0], expected[0])


d = 32  # of the model; heads of a variant share it
PARAMETERS = {  # without biases: the formulas of the papers that conf/attention/*.yaml and docs name
    **dict.fromkeys(("scaled", "dot", "causal", "multihead", "stacked", "distance", "soft_cap", "uniform"), 4 * d * d),
    **dict.fromkeys(("sigmoid", "sparsemax", "entmax15", "renormalize", "off_by_one"), 4 * d * d),
    **dict.fromkeys(("window", "streaming", "prefix", "strided", "block", "rotary", "alibi"), 4 * d * d),
    "additive": 4 * d * d + d,
    "concat": 4 * d * d + 2 * d * d + d,
    "general": 4 * d * d + d * d,
    "location": 4 * d * d + 256 * d,
    "random": 4 * d * d + 256 * 256,
    "cosine": 4 * d * d + 1,
    "multi_query": 2 * d * d + 2 * d * (d // 4),
    "grouped_query": 2 * d * d + 2 * d * (d // 2),
    "latent": 2 * d * d + 32 * (d + 2 * d),
    "talking_heads": 4 * d * d + 2 * 4 * 4,
    "gated": 5 * d * d,
    "gated_headwise": 4 * d * d + 4 * d,
    "differential": 4 * d * d + 4 * (d // 4 // 2) + d // 4,
    "sink": 4 * d * d + 4,
    "shaw": 4 * d * d + (2 * 16 + 1) * d,
    "t5": 4 * d * d + 32 * 4,
}


@pytest.mark.parametrize("variant", PARAMETERS)
def test_parameters_are_those_of_the_papers(variant):
    attention = make_attention(variant, d, bias=False)
    assert sum(parameter.numel() for parameter in attention.parameters()) == PARAMETERS[variant]


@pytest.mark.parametrize("name", distinct_attentions())
@pytest.mark.parametrize("lengths", [(4, 9), (9, 9)])
def test_operations_are_the_products_that_torch_counts_and_few_beside(name, lengths):
    attention, (queries, keys) = Attention(d, **distinct_attentions()[name]), lengths
    memory_BSD = None if queries == keys else torch.randn(1, keys, d)
    attention.positions = attention.positions if memory_BSD is None else None
    with FlopCounterMode(display=False) as counter:
        attention(torch.randn(1, queries, d), memory_BSD, need_weights=True)
    pairs = queries * keys * attention.score.heads
    beside = attention.flops(queries, keys) - counter.get_total_flops()
    # A scaling, a bound, a bias; tanh and the sum before it of additive scores, which are no products.
    few = 2 * attention.score.head_dim + 1 if isinstance(attention.score, Additive) else 4
    assert 0 <= beside <= few * pairs


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kv_heads": 3}, ("kv_heads=3", "heads=2")),
        ({"gate": "headwize"}, ("gate=headwize", "elementwise, headwise")),
        ({"layer": 0}, ("layer=0", "positive")),
        ({"value_dim": 0}, ("value_dim=0", "positive")),
        ({"latent": 2.5}, ("latent=2.5", "positive")),
        ({"positions": "rotary", "head_dim": 5}, ("rotary", "width 5", "even")),
        ({"differential": True, "head_dim": 5}, ("differential", "width 5", "even")),
        ({"differential": True, "positions": "rotary", "head_dim": 6}, ("rotary", "width 3", "even")),
        ({"stacked": True, "score": "additive"}, ("stacked=true", "score.v_HK")),
        ({"stacked": True, "normalizer": {"name": "sink", "learned": True}}, ("stacked=true", "normalizer.b_H")),
        ({"stacked": True, "talking_heads": True}, ("stacked=true", "before.p_HH", "after.p_HH")),
        ({"stacked": True, "differential": True}, ("stacked=true", "difference.lambda_4F")),
        ({"normalizer": "softmx"}, ("unknown normalizer 'softmx'", "did you mean softmax", "sparsemax")),
        ({"mask": "windw"}, ("unknown mask 'windw'", "did you mean window", "strided")),
        ({"positions": "alibli"}, ("unknown position 'alibli'", "did you mean alibi", "rotary")),
        ({"normalizer": {"name": "sink", "learnt": True}}, ("normalizer 'sink'", "learnt", "learned")),
        ({"normalizer": {"name": "softmax", "learned": True}}, ("normalizer 'softmax'", "learned")),
        ({"mask": "window"}, ("mask 'window'", "window", "required")),
        ({"mask": {"name": "window", "window": 0}}, ("mask 'window'", "window=0", "positive")),
        ({"mask": {"name": "window", "window": 4, "sinks": -1}}, ("mask 'window'", "sinks=-1")),
        ({"mask": {"name": "block", "size": 2.5}}, ("mask 'block'", "size=2.5")),
        ({"positions": {"name": "t5", "buckets": 2}}, ("position 't5'", "buckets=2", "4")),
        ({"positions": {"name": "rotary", "base": -1.0}}, ("position 'rotary'", "base=-1.0", "positive")),
        ({"positions": {"name": "alibi", "slope": 1}}, ("position 'alibi'", "slope")),
        ({"score": {"name": "soft_cap", "cap": 0.0}}, ("score 'soft_cap'", "cap=0.0", "positive")),
        (
            {"score": {"name": "soft_cap", "score": {"name": "cosine", "temp": 1.0}}},
            ("soft_cap", "temp", "temperature"),
        ),
        ({"score": {"name": "soft_cap", "score": "cosin"}}, ("soft_cap", "cosin")),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused_in_one_line(settings, words):
    with pytest.raises(Refused) as refused:
        Attention(D, **{"heads": H, **settings})
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value
