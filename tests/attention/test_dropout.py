"""Dropout from a counter: the same masks by compiled loops and by torch, and a small training ends alike with both."""

import itertools

import pytest
import torch

from attncompare.attention.kernels import build, dropout
from attncompare.attention.kernels.build import library
from attncompare.attention.kernels.dropout import add_dropout, drop_weights
from attncompare.data.module import DataModule
from attncompare.tasks import build_task

compiled = pytest.mark.skipif(library() is None, reason="no C++ compiler")
each_form = pytest.mark.parametrize("form", [pytest.param("compiled", marks=compiled), "torch"])


@pytest.fixture
def use(monkeypatch):
    """Choose by what dropout is computed from now on."""
    serves = dropout.serves
    return lambda form: monkeypatch.setattr(dropout, "serves", serves if form == "compiled" else lambda _: False)


@compiled
@pytest.mark.parametrize("size", [1, 17, 16_384, 16_385, 500_001])
@pytest.mark.parametrize("probability", [1e-9, 0.1, 0.3, 0.999])
@pytest.mark.parametrize("seed", [0, 3, 2**31, 2**32 - 1])
def test_both_forms_give_the_same_bits(use, monkeypatch, size, probability, seed):
    monkeypatch.setattr(dropout, "drawn_seed", lambda: seed)
    x = torch.randn(size)
    found = []
    for form in ("compiled", "torch"):
        use(form)
        found.append(add_dropout(None, x, probability))
    assert torch.equal(*found)


@each_form
@pytest.mark.parametrize("size", [1, 17, 16_385])
@pytest.mark.parametrize("base", [False, True])
def test_each_number_is_zero_or_made_larger_and_the_gradient_is_the_same_factor(use, form, size, base):
    use(form)
    x, below = torch.randn(size, requires_grad=True), torch.randn(size, requires_grad=True)
    y = add_dropout(below if base else None, x, 0.25)
    y.sum().backward()
    assert set(x.grad.unique().tolist()) <= {0.0, torch.tensor(1 / 0.75).item()}
    assert torch.allclose(y.detach(), (below.detach() if base else 0) + x.detach() * x.grad, atol=1e-6)
    assert not base or torch.equal(below.grad, torch.ones(size))


@pytest.mark.parametrize("of_weights", [False, True])
def test_its_share_is_dropped_without_a_pattern(of_weights):
    ones = torch.ones(1, 1, 1000, 1000)
    kept = ((drop_weights(ones, 0.3) if of_weights else add_dropout(None, ones, 0.3)) != 0).float()[0, 0]
    assert kept.mean() == pytest.approx(0.7, abs=0.003)
    for means in (kept.mean(0), kept.mean(1)):
        assert means.std() == pytest.approx((0.7 * 0.3 / 1000) ** 0.5, rel=0.1), "as independent numbers have it"
    neighbours = torch.corrcoef(torch.stack([kept.flatten()[:-1], kept.flatten()[1:]]))[0, 1]
    assert abs(neighbours) < 0.005


def test_the_generator_decides_alone_and_no_dropout_draws_nothing():
    x = torch.ones(1000)
    torch.manual_seed(4)
    first, second = add_dropout(None, x, 0.5), add_dropout(None, x, 0.5)
    torch.manual_seed(4)
    assert torch.equal(add_dropout(None, x, 0.5), first)
    assert not torch.equal(first, second)
    before = torch.random.get_rng_state()
    assert add_dropout(None, x, 0.0) is x
    assert torch.equal(add_dropout(x, x, 0.0), 2 * x)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_float64_stays_float64():
    x = torch.ones(10_000, dtype=torch.float64, requires_grad=True)
    y = add_dropout(x, x, 0.5)
    assert y.dtype == torch.float64 and set(y.unique().tolist()) == {1.0, 3.0}


@each_form
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_taken_as_float32_and_its_gradient_is_rounded(use, form, dtype):
    use(form)
    halves = torch.randn(1003).to(dtype).requires_grad_()
    floats = halves.detach().float().requires_grad_()
    below, gradient = torch.randn(1003), torch.randn(1003)
    dropped = []
    for x in (halves, floats):
        torch.manual_seed(1)
        dropped.append(add_dropout(below, x, 0.5))
        dropped[-1].backward(gradient)
    assert dropped[0].dtype == torch.float32 and torch.equal(*dropped)
    assert torch.equal(halves.grad, floats.grad.to(dtype))


@compiled
@pytest.mark.parametrize("attention", ["additive", "multihead"])
def test_twenty_steps_with_and_without_compiled_kernels(make_config, monkeypatch, attention):
    sizes = ("backbone.d_model=32", "backbone.layers=1", "backbone.dropout=0.2", "attention.dropout=0.1")
    config = make_config("data=reverse", "data.train_size=1300", "task=translation", f"attention={attention}", *sizes)
    data = DataModule(config)
    data.prepare()
    losses = []
    for found in (library(), None):
        monkeypatch.setattr(build, "library", lambda found=found: found)
        task = build_task(config, data.tokenizer).train()
        optimizer = task.configure_optimizers()["optimizer"]
        torch.manual_seed(1)
        losses.append([])
        for batch in itertools.islice(data.train_dataloader(), 20):
            optimizer.zero_grad()
            loss = task.loss(batch)
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    assert len(losses[0]) == 20 and losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
