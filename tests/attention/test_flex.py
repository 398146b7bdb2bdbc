"""FlexAttention computes what the explicit path does: forward on any machine, gradients where there is a GPU."""

import pytest
import torch
from variants import VARIANTS, make_attention

from attncompare.attention.mixing import Mixing
from attncompare.attention.normalizers import sink
from attncompare.attention.scores import soft_cap

COMBINATIONS = {
    "soft_cap": {"score": {"name": "soft_cap", "cap": 2.0}},
    "soft_cap of a general score": {"score": {"name": "soft_cap", "cap": 2.0, "score": {"name": "general"}}},
    "off by one": {"normalizer": "sink"},
    "learned sink of a distance": {"normalizer": {"name": "sink", "learned": True}, "score": "distance"},
}
OTHERS = [
    {},
    {"kv_heads": 2, "value_dim": 6},
    {"positions": "alibi"},
    {"positions": "t5", "mask": {"name": "window", "window": 3}},
]


def outputs(attention, causal, monkeypatch, by_flex):
    """Return the output of a batch with padding and a query that sees nothing, and how often scores were explicit."""
    explicitly, count = Mixing._explicitly, []
    monkeypatch.setattr(Mixing, "_explicitly", lambda *args: (count.append(1), explicitly(*args))[1])
    for module in (soft_cap, sink):
        monkeypatch.setattr(module, "flex_serves", lambda *_: by_flex)
    x_BTD = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(1))
    seen = torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(2)) > 0.3
    seen[0, 0, 4] = False
    with torch.no_grad():
        output_BTD, _ = attention(x_BTD, may_attend=seen)
    monkeypatch.undo()
    return output_BTD, len(count)


@pytest.mark.filterwarnings("ignore:flex_attention called without")  # slow, and what a CPU has
@pytest.mark.parametrize("parts", COMBINATIONS.values(), ids=COMBINATIONS)
@pytest.mark.parametrize("others", OTHERS, ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_flex_attention_equals_the_explicit_path(parts, others, causal, monkeypatch):
    attention = make_attention("multihead", 32, 4, causal=causal, **parts, **others)
    for name, parameter in attention.named_parameters():
        if name.startswith(("normalizer", "positions")):  # they begin at 0
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(3))
    explicit, count = outputs(attention, causal, monkeypatch, by_flex=False)
    assert count == 1
    by_flex, count = outputs(attention, causal, monkeypatch, by_flex=True)
    assert count == 0
    torch.testing.assert_close(by_flex, explicit, rtol=1e-5, atol=1e-6)


@pytest.mark.cuda
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_on_a_gpu_each_variant_equals_its_explicit_path_forward_and_backward(variant, dtype):
    attention = make_attention(variant, 32, 4, causal=True).to("cuda", dtype)
    x_BTD = torch.randn(2, 40, 32, device="cuda", dtype=dtype, requires_grad=True)
    seen = torch.rand(2, 1, 40, 40, device="cuda") > 0.3
    seen[0, 0, 4] = False
    found = []
    for need_weights in (False, True):
        output_BTD, _ = attention(x_BTD, may_attend=seen, need_weights=need_weights)
        inputs = [x_BTD, *attention.parameters()]
        found.append([output_BTD, *torch.autograd.grad(output_BTD.float().square().sum(), inputs, allow_unused=True)])
    near = {"rtol": 1e-3, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 5e-2, "atol": 5e-2}
    for fast, explicit in zip(*found, strict=True):
        assert (fast is None) == (explicit is None)
        if fast is not None:
            torch.testing.assert_close(fast, explicit, **near)
