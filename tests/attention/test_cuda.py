"""Whole runs on a GPU keep what they promise on a CPU; most of it is tested where there is one."""

import pytest
import torch
from commands import SMOKE
from outcomes import assert_same
from variants import SEVERAL, VARIANTS, make_attention

from attncompare.training import resume, train

ON_GPU = (*SMOKE, "trainer.accelerator=gpu", "tracking=disabled", "backbone.dropout=0.2", "attention.dropout=0.1")


@pytest.mark.cuda
@pytest.mark.parametrize("variant", SEVERAL)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_same_config_gives_the_same_bits_also_resumed(make_config, variant, precision):
    overrides = (*ON_GPU, "trainer.max_steps=4", f"attention={variant}", f"trainer.precision={precision}")
    reference = train(make_config(*overrides))
    assert reference.state == "finished"
    assert_same(train(make_config(*overrides)), reference)
    assert_same(resume(train(make_config(*overrides), stop_after=2).path), reference)


@pytest.mark.cuda
def test_it_can_be_compiled(make_config):
    overrides = ("task=language_model", "data=recall", "data.length=24", "trainer.compile=true")
    base = [word for word in ON_GPU if not word.startswith(("data=", "data.m", "task."))]
    assert train(make_config(*base, *overrides)).state == "finished"


@pytest.mark.cuda
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_query_without_keys_gets_zeros_and_gradients_stay_finite(variant, dtype):
    attention = make_attention(variant, 32, 4).to("cuda", dtype)
    query_BTD = torch.randn(2, 5, 32, device="cuda", dtype=dtype, requires_grad=True)
    mask = torch.ones(1, 1, 5, 5, dtype=torch.bool, device="cuda").tril()
    mask[..., 2, :] = False
    output_BTD, _ = attention(query_BTD, may_attend=mask)
    output_BTD.float().sum().backward()
    assert torch.equal(output_BTD[:, 2], attention.output.bias.expand(2, 32))
    gradients = [tensor.grad for tensor in (query_BTD, *attention.parameters()) if tensor.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
