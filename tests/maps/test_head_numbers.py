"""Numbers of heads: by hand on small weights, and the largest score as the projections say it."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sample_maps import sample_site

from attncompare.attention import Attention
from attncompare.maps import ProbeMaps, SiteMap, head_numbers
from attncompare.maps.capture import by_heads, largest_scores
from attncompare.maps.heads import NUMBERS, head_metrics, means_of_sites, numbers_of_heads
from attncompare.maps.maps import head_similarity


def site_of(heads, scores=None):
    """One layer; ``heads`` are weights (T, S) each."""
    weights = np.asarray(heads, np.float32)[None]
    T, S = weights.shape[2:]
    scores = None if scores is None else np.array([scores])
    return SiteMap("cross", ("q",) * T, ("k",) * S, weights, scores_LH=scores)


def test_heads_are_alike_where_their_weights_are():
    one, other, even = [[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0.5, 0.5], [0.5, 0.5]]
    assert head_similarity(site_of([one, one]).weights_LHTS) == pytest.approx(np.array([[1, 1]]))
    assert head_similarity(site_of([one, other]).weights_LHTS) == pytest.approx(np.array([[0, 0]]))
    # JS of (1, 0) and (1/2, 1/2) is H(3/4, 1/4) - H(1/2, 1/2) / 2.
    alike = 1 - (-(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)) - 0.5)
    expected = [alike / 2, alike / 2, alike]  # each with the other two; one and other have nothing in common
    assert head_similarity(site_of([one, other, even]).weights_LHTS)[0] == pytest.approx(expected)
    assert np.isnan(head_similarity(site_of([one]).weights_LHTS)).all()


def test_queries_that_attend_to_nothing_say_nothing_of_likeness():
    half, one = [[1, 0], [0, 0]], [[1, 0], [0, 1]]
    assert head_similarity(site_of([half, one]).weights_LHTS) == pytest.approx(np.array([[1, 1]]))
    assert np.isnan(head_similarity(site_of([[[1, 0], [0, 0]], [[0, 0], [0, 1]]]).weights_LHTS)).all()


def test_the_first_key_s_weight_and_the_largest_score_of_a_head():
    numbers = head_numbers(site_of([[[0.25, 0.75], [0.75, 0.25]], [[1, 0], [0, 0]]], [2.5, np.nan]))
    assert [one.first for one in numbers] == [0.5, 1]
    assert numbers[0].score == 2.5 and math.isnan(numbers[1].score)
    assert head_numbers(sample_site())[0].score is None


def test_numbers_are_means_over_sentences_and_scores_the_largest():
    sharp, even = [[1, 0]], [[0.5, 0.5]]
    maps = [
        ProbeMaps(0, "", (site_of([sharp, even], [1.0, 7.0]),)),
        ProbeMaps(1, "", (site_of([even, even], [3.0, 5.0]),)),
    ]
    found = numbers_of_heads(maps)
    first, second = found["cross", 1, 1], found["cross", 1, 2]
    assert first["entropy"] == pytest.approx(math.log(2) / 2) and second["entropy"] == pytest.approx(math.log(2))
    assert (first["largest"], first["first"], first["score"], second["score"]) == (0.75, 0.75, 3, 7)
    assert first["similarity"] == second["similarity"] and "aer" not in first
    means = means_of_sites(found)
    assert means["cross_head_score"] == 5 and means["cross_head_entropy"] == pytest.approx(0.75 * math.log(2))


def test_heads_that_a_layer_lacks_are_left_out():
    weights = np.concatenate([np.full((1, 2, 2, 2), 0.5), np.zeros((1, 2, 2, 2))]).astype(np.float32)
    weights[1, 0] = 0.5
    site = SiteMap("decoder_self", ("q",) * 2, ("q",) * 2, weights)
    assert list(numbers_of_heads([ProbeMaps(0, "", (site,))])) == [
        *(("decoder_self", 1, 1), ("decoder_self", 1, 2), ("decoder_self", 2, 1))
    ]


def test_gold_alignments_give_an_error_and_every_number_has_a_metric():
    numbers = numbers_of_heads([ProbeMaps(0, "", (replace(sample_site(heads=2, gold=True)),))])
    assert 0 <= numbers["cross", 1, 1]["aer"] <= 1
    metrics = head_metrics([*means_of_sites(numbers), *(f"decoder_self_head_{name}" for name in NUMBERS), "bleu"])
    assert {name.removeprefix("decoder_self_head_") for name in metrics if name.startswith("decoder")} == set(NUMBERS)
    assert "bleu" not in metrics and metrics["cross_head_aer"].higher_is_better is False
    assert not any(one.in_table or one.tested for one in metrics.values())


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", [{}, {"stacked": True}, {"differential": True}, {"kv_heads": 1}])
def test_the_largest_score_is_that_of_the_keys_a_query_may_see(kind, causal):
    torch.manual_seed(1)
    attention = Attention(8, heads=2, causal=causal, **kind).eval()
    x_BTD = torch.randn(1, 5, 8)
    task = SimpleNamespace(attentions={"decoder_self": [attention]})
    with torch.no_grad(), largest_scores(task) as watched:
        attention(x_BTD, need_weights=True)
        q_BTHK = attention.query(x_BTD).unflatten(-1, (2, -1))
        k_BSHK = attention.key(x_BTD).unflatten(-1, (attention.kv_heads, -1)).expand(-1, -1, 2, -1)
    parts = 2 if "differential" in kind else 1
    q_BTHPK, k_BSHPK = (x.unflatten(-1, (parts, -1)) for x in (q_BTHK, k_BSHK))
    scores_HPTS = torch.einsum("bthpk,bshpk->hpts", q_BTHPK, k_BSHPK) / q_BTHPK.shape[-1] ** 0.5
    seen_HPTS = scores_HPTS.masked_fill(~torch.ones(5, 5).tril().bool(), -math.inf) if causal else scores_HPTS
    expected = seen_HPTS.amax((1, 2, 3))
    assert by_heads(watched["decoder_self"], 3)[0] == pytest.approx([*expected.tolist(), math.nan], nan_ok=True)
    assert not attention.normalizer._forward_pre_hooks


def test_a_module_without_attentions_has_no_scores():
    with largest_scores(SimpleNamespace()) as watched:
        pass
    assert watched == {} and by_heads([], 2) is None
