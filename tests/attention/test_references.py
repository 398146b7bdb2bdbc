"""The attention module against loops written from the papers, and against other implementations with the same weights."""

import math

import pytest
import torch
from torch import nn
from variants import make_attention
from x_transformers import x_transformers

from attncompare import attend
from attncompare.attention import Attention, ScoreFunction, causal_mask, combine, padding_mask
from attncompare.attention.scores.additive import Additive
from attncompare.errors import Refused

PATHS = pytest.mark.parametrize("need_weights", [False, True], ids=["fast", "explicit"])
SCORES = ("additive", "dot", "scaled")  # those with a published form; a new one brings a reference of its own


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def published_score(name, q, k, v):
    """One score of one query and one key, all lists of numbers."""
    product = sum(a * b for a, b in zip(q, k, strict=True))
    match name:
        case "additive":  # Bahdanau et al. 2014, A.1.2, with W q and U k made before
            return sum(c * math.tanh(a + b) for a, b, c in zip(q, k, v, strict=True))
        case "dot":  # Luong et al. 2015, section 3.1
            return product
        case "scaled":  # Vaswani et al. 2017, equation 1
            return product / math.sqrt(len(k))


def published_attention(score, queries, keys, values, allowed):
    """One head: lists of vectors, and for each query the numbers of the keys that it may attend to."""
    contexts, all_weights = [], []
    for t, query in enumerate(queries):
        powers = {s: math.exp(score(query, keys[s])) for s in allowed[t]}
        weights = [powers.get(s, 0.0) / sum(powers.values()) for s in range(len(keys))]
        contexts.append(
            [sum(w * value[i] for w, value in zip(weights, values, strict=True)) for i in range(len(values[0]))]
        )
        all_weights.append(weights)
    return contexts, all_weights


@PATHS
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", SCORES)
def test_scores_are_the_published_ones(name, causal, need_weights):
    q_BHTK, k_BHSK, values_BHSK = normal(2, 2, 4, 3), normal(2, 2, 4, 3, seed=2), normal(2, 2, 4, 5, seed=3)
    v_HK = normal(2, 3, seed=4)
    mask = padding_mask(torch.arange(4).expand(2, 4) < torch.tensor([[4], [2]]))
    score = name
    if name == "additive":
        score = Additive(heads=2, head_dim=3).double()
        score.v_HK.data = v_HK
    context_BHTK, weights_BHTS = attend(
        q_BHTK, k_BHSK, values_BHSK, score=score, may_attend=mask, causal=causal, need_weights=need_weights
    )
    for b in range(2):
        for h in range(2):
            allowed = [[s for s in range((4, 2)[b]) if not causal or s <= t] for t in range(4)]
            contexts, weights = published_attention(
                lambda q, k, h=h: published_score(name, q, k, v_HK[h].tolist()),
                q_BHTK[b, h].tolist(),
                k_BHSK[b, h].tolist(),
                values_BHSK[b, h].tolist(),
                allowed,
            )
            torch.testing.assert_close(context_BHTK[b, h], torch.tensor(contexts, dtype=torch.float64))
            if need_weights:
                torch.testing.assert_close(weights_BHTS[b, h], torch.tensor(weights, dtype=torch.float64))


def test_in_the_module_w_and_u_of_additive_attention_are_the_query_and_key_projections():
    torch.manual_seed(0)
    attention = Attention(4, heads=2, score="additive").double()
    x_TD, memory_SD = normal(3, 4), normal(5, 4, seed=2)

    def linear(layer, x_D):
        rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
        return [sum(w * x for w, x in zip(row, x_D, strict=True)) + bias for row, bias in rows]

    def of_head(layer, x_ND, h):
        return [linear(layer, x_D)[2 * h : 2 * h + 2] for x_D in x_ND.tolist()]

    heads = [
        published_attention(
            lambda q, k, h=h: published_score("additive", q, k, attention.score.v_HK[h].tolist()),
            of_head(attention.query, x_TD, h),
            of_head(attention.key, memory_SD, h),
            of_head(attention.value, memory_SD, h),
            [range(5)] * 3,
        )[0]
        for h in range(2)
    ]
    merged = [heads[0][t] + heads[1][t] for t in range(3)]
    expected_TD = torch.tensor([linear(attention.output, context) for context in merged], dtype=torch.float64)
    torch.testing.assert_close(attention(x_TD[None], memory_SD[None])[0][0], expected_TD)


def torch_module_like(attention, d_model):
    """Return torch's module with the weights of ``attention``."""
    theirs = nn.MultiheadAttention(d_model, attention.heads, batch_first=True, dtype=torch.float64)
    projections = (attention.query, attention.key, attention.value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in projections]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in projections]))
        theirs.out_proj.weight.copy_(attention.output.weight)
        theirs.out_proj.bias.copy_(attention.output.bias)
    return theirs


@PATHS
@pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("variant", ["scaled", "causal", "stacked"])
def test_scaled_attention_equals_torchs_module_with_the_same_weights(variant, heads, masked, cross, need_weights):
    torch.manual_seed(0)
    attention = make_attention(variant, 8, heads).double()
    theirs = torch_module_like(attention, 8)
    x_BTD = normal(2, 5, 8).requires_grad_()
    memory_BSD = normal(2, 6, 8, seed=2).requires_grad_() if cross else None
    keys_BSD = memory_BSD if cross else x_BTD
    is_token_BS = torch.arange(keys_BSD.shape[1]).expand(2, -1) < torch.tensor([[4], [9]])
    mask_TS = causal_mask(5, keys_BSD.shape[1]) if masked else None
    mask = combine(mask_TS, padding_mask(is_token_BS)) if masked else None
    output_BTD, weights_BHTS = attention(x_BTD, memory_BSD, mask, need_weights)

    hidden_TS = None if mask_TS is None else ~mask_TS
    if attention.causal and not cross:
        hidden_TS = ~causal_mask(5, 5)
    expected_BTD, expected_BHTS = theirs(
        x_BTD,
        keys_BSD,
        keys_BSD,
        attn_mask=hidden_TS,  # theirs say who is hidden
        key_padding_mask=~is_token_BS if masked else None,
        average_attn_weights=False,
    )
    torch.testing.assert_close(output_BTD, expected_BTD)
    if need_weights:
        torch.testing.assert_close(weights_BHTS, expected_BHTS)
    inputs = [x_BTD, memory_BSD] if cross else [x_BTD]
    found, expected = (torch.autograd.grad(y.square().sum(), inputs) for y in (output_BTD, expected_BTD))
    torch.testing.assert_close(found, expected)


def with_shares_of_visible_keys(x_BTD, is_token_BT, causal):
    """Return what sigmoid attention adds to the scores: minus the logarithm of how many keys a query sees."""
    mask = padding_mask(is_token_BT)
    mask = combine(mask, causal_mask(x_BTD.shape[1], x_BTD.shape[1])) if causal else mask
    return {"attn_bias": -mask.sum(-1, keepdim=True).to(x_BTD).log()}


def with_rotary_positions(x_BTD, *_):
    return {"rotary_pos_emb": x_transformers.RotaryEmbedding(4).double()(torch.arange(x_BTD.shape[1]))}


PEERS = {  # settings here, those of x-transformers, and what it takes beside the input
    "multi-query": ({"kv_heads": 1}, {"kv_heads": 1}, None),
    "values of another width": ({"value_dim": 5}, {"value_dim_head": 5}, None),
    "latent": ({"latent": 3}, {"use_latent_kv": True, "dim_latent_kv": 3}, None),
    "cosine": ({"score": {"name": "cosine", "learned": False}}, {"qk_norm": True}, None),
    "distance": ({"score": "distance"}, {"l2_distance": True}, None),
    "soft cap": (
        {"score": {"name": "soft_cap", "cap": 0.5}},
        {"softclamp_logits": True, "logit_softclamp_value": 0.5},
        None,
    ),
    "off by one": ({"normalizer": "sink"}, {"add_zero_kv": True}, None),
    "learned sink": ({"normalizer": {"name": "sink", "learned": True}}, {"head_learned_sink": True}, None),
    "sigmoid": ({"normalizer": "sigmoid"}, {"sigmoid": True}, with_shares_of_visible_keys),
    "talking heads": ({"talking_heads": True}, {"pre_talking_heads": True, "post_talking_heads": True}, None),
    "gate": ({"gate": "elementwise"}, {"gate_values": True}, None),
    "gate of heads": ({"gate": "headwise"}, {"gate_values": True, "gate_values_headwise": True}, None),
    "window": ({"mask": {"name": "window", "window": 3}}, {"max_attend_past": 2}, None),
    "rotary": ({"positions": "rotary"}, {}, with_rotary_positions),
    "alibi": ({"positions": "alibi"}, {}, None),
    "t5": ({"positions": "t5"}, {}, None),
}


def peer_with_the_same_weights(attention, settings):
    """Return the module of x-transformers with the weights of ``attention``, and a bias of positions where there is one."""
    theirs = x_transformers.Attention(12, dim_head=4, heads=3, causal=attention.causal, **settings).double()
    values = {
        f"to_{name}.weight": getattr(attention, full).weight
        for name, full in zip(("q", "k", "v", "out"), ("query", "key", "value", "output"), strict=True)
    }
    if attention.latent is not None:
        values["to_latent_kv.weight"] = attention.latent.weight
    if attention.gate is not None:
        values["to_v_gate.weight"] = attention.gate.weight
    if attention.before is not None:  # theirs adds the mixture of scores to them
        values["attend.pre_softmax_talking_heads.weight"] = (attention.before.p_HH.T - torch.eye(3))[..., None, None]
        values["attend.post_softmax_talking_heads.weight"] = attention.after.p_HH.T[..., None, None]
    if settings.get("head_learned_sink"):
        values["attend.head_attn_sink"] = attention.normalizer.b_H
    scheme = type(attention.positions).__name__
    if scheme == "Rotary":  # pairs of neighbours, where here numbers half a head apart are turned
        for name in ("to_q.weight", "to_k.weight"):
            values[name] = values[name].unflatten(0, (3, 2, 2)).transpose(1, 2).flatten(0, 2)
    theirs.load_state_dict(values)
    of_positions = None
    if scheme == "Alibi":
        of_positions = x_transformers.AlibiPositionalBias(3).double()
    elif scheme == "T5":
        of_positions = x_transformers.RelativePositionBias(scale=1, causal=attention.causal, heads=3).double()
        of_positions.load_state_dict({"relative_attention_bias.weight": attention.positions.bias_HN.T})
    return theirs, of_positions


@PATHS
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", PEERS)
def test_variants_equal_x_transformers_with_the_same_weights(name, causal, need_weights):
    ours, settings, beside = PEERS[name]
    if name == "window" and not causal:
        pytest.skip("theirs looks back alone")
    torch.manual_seed(0)
    attention = Attention(12, 3, causal=causal, bias=False, **ours).double()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    theirs, of_positions = peer_with_the_same_weights(attention, settings)
    x_BTD, is_token_BT = normal(2, 20, 12).requires_grad_(), torch.arange(20) < torch.tensor([[20], [18]])
    output_BTD, _ = attention(x_BTD, may_attend=padding_mask(is_token_BT), need_weights=need_weights)
    options = {} if beside is None else beside(x_BTD, is_token_BT, causal)
    expected_BTD = theirs(x_BTD, mask=is_token_BT, rel_pos=of_positions, **options)
    # Their softmax and some of their positions are in float32.
    torch.testing.assert_close(output_BTD[is_token_BT], expected_BTD[is_token_BT], rtol=1e-4, atol=1e-5)
    sums = (y[is_token_BT].square().sum() for y in (output_BTD, expected_BTD))
    torch.testing.assert_close(*(torch.autograd.grad(y, x_BTD)[0] for y in sums), rtol=1e-4, atol=1e-4)


@PATHS
def test_attend_takes_a_score_by_name_or_as_a_module(need_weights):
    q, k, v = (normal(2, 3, 4, 6, seed=seed).float() for seed in (1, 2, 3))
    for name in SCORES:
        by_name = attend(q, k, v, score=name, need_weights=need_weights)
        score = Attention(18, heads=3, score=name).score
        assert isinstance(score, ScoreFunction)
        by_module = attend(q, k, v, score=score, need_weights=need_weights)
        assert torch.equal(by_name[0], by_module[0])
        assert (by_name[1] is not None) == need_weights


@PATHS
@pytest.mark.parametrize("queries, keys", [(3, 7), (7, 3), (1, 5)])
@pytest.mark.parametrize("name", SCORES)
def test_under_causal_the_last_query_stands_at_the_last_key(name, queries, keys, need_weights):
    q, k, v = normal(1, 2, queries, 4), normal(1, 2, keys, 4, seed=2), normal(1, 2, keys, 4, seed=3)
    visible = [[s <= t + keys - queries for s in range(keys)] for t in range(queries)]
    found, _ = attend(q, k, v, score=name, causal=True, need_weights=need_weights)
    expected, _ = attend(q, k, v, score=name, may_attend=torch.tensor(visible), need_weights=True)
    torch.testing.assert_close(found, expected)


@PATHS
@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("shape", [(5,), (4, 5), (1, 5), (4, 1), (3, 1, 5), (2, 1, 1, 5), (2, 3, 4, 5)], ids=str)
def test_a_mask_of_any_shape_that_broadcasts(name, shape, need_weights):
    q, k, v = normal(2, 3, 4, 6), normal(2, 3, 5, 6, seed=2), normal(2, 3, 5, 6, seed=3)
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(5)) < 0.6
    found, _ = attend(q, k, v, score=name, may_attend=mask, need_weights=need_weights)
    expected, _ = attend(q, k, v, score=name, may_attend=mask.expand(2, 3, 4, 5), need_weights=need_weights)
    torch.testing.assert_close(found, expected)


@PATHS
def test_a_mask_of_numbers_is_refused_as_kernels_would_add_it(need_weights):
    q = normal(1, 1, 3, 4)
    with pytest.raises(Refused, match=r"^may_attend is of type torch.float32: must be torch.bool, True = may attend$"):
        attend(q, q, q, may_attend=torch.ones(3, 3), need_weights=need_weights)


@PATHS
@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("queries, keys", [(0, 3), (3, 0)])
def test_no_queries_or_no_keys(name, queries, keys, need_weights):
    q, k = normal(2, 2, queries, 4), normal(2, 2, keys, 4)
    context_BHTK, _ = attend(q, k, k, score=name, need_weights=need_weights)
    assert torch.equal(context_BHTK, torch.zeros(2, 2, queries, 4, dtype=torch.float64))


@pytest.mark.parametrize("key", ["d_model", "heads", "head_dim"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "3", True])
def test_bad_sizes_are_refused_in_a_line_with_key_and_value(key, value):
    with pytest.raises(Refused, match=rf"^{key}={value}: must be a positive integer$"):
        Attention(**{"d_model": 8, key: value})


def test_tensors_without_a_head_axis_or_of_other_sizes_are_refused():
    whole, flat = torch.zeros(2, 3, 5, 8), torch.zeros(2, 5, 8)
    for q, k, v in (
        (flat, flat, flat),
        (whole, whole[:1], whole),
        (whole, whole[..., :4], whole),
        (whole, whole, whole[:, :, :1]),
    ):
        with pytest.raises(Refused, match=r"must be \(B, H, T, K\)"):
            attend(q, k, v)


@pytest.mark.parametrize("dropout", [-0.1, 1, 1.5, float("nan")])
def test_bad_dropout_is_refused(dropout):
    with pytest.raises(Refused, match=rf"^dropout={dropout}: must be in \[0, 1\)$"):
        Attention(8, dropout=dropout)
