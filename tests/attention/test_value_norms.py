"""What each head writes for each key, against a loop over heads and keys."""

import pytest
import torch

from attncompare.attention import Attention
from attncompare.errors import Refused

VARIANTS = [{}, {"kv_heads": 2}, {"latent": 6, "value_dim": 5}, {"talking_heads": True}, {"stacked": True}]


def with_values(module, x_BTD):
    held = []
    module.on_values = held.append
    output_BTD, weights_BHTS = module(x_BTD, need_weights=True)
    module.on_values = None
    return output_BTD, weights_BHTS, held


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_norms_are_those_of_vectors_whose_weighted_sum_is_the_output(variant):
    torch.manual_seed(0)
    module, x_BTD = Attention(12, heads=4, **variant), torch.randn(2, 5, 12)
    output_BTD, weights_BHTS, (v_BGSV,) = with_values(module, x_BTD)
    norms_BHS = module.value_norms(v_BGSV)
    V, sum_BTD = module.value_dim, torch.zeros(2, 5, 12)
    for h in range(4):
        w_DV = module.output.weight[:, h * V : (h + 1) * V]
        for s in range(5):
            made_BD = v_BGSV[:, h * v_BGSV.shape[1] // 4, s] @ w_DV.T
            assert torch.allclose(norms_BHS[:, h, s], made_BD.pow(2).sum(-1).sqrt(), atol=1e-6)
            sum_BTD += weights_BHTS[:, h, :, s, None] * made_BD[:, None]
    assert torch.allclose(sum_BTD + module.output.bias, output_BTD, atol=1e-5)


@pytest.mark.parametrize("variant", [{"gate": "headwise"}, {"differential": True}], ids=str)
def test_what_is_no_weighted_sum_is_refused_by_name(variant):
    module = Attention(16, heads=2, **variant)
    (v_BGSV,) = with_values(module, torch.randn(1, 3, 16))[2]
    with pytest.raises(Refused, match=next(iter(variant))):
        module.value_norms(v_BGSV)


def test_without_weights_nothing_is_called():
    module = Attention(8)
    module.on_values = lambda _: pytest.fail("called")
    module(torch.randn(1, 3, 8))
