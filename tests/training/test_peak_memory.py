"""The peak memory of a run: exact, the same for models that are the same, and measured without touching the run."""

from types import SimpleNamespace

import torch
from commands import SMOKE

from attncompare.training import train
from attncompare.training.memory import step_bytes


class Product(torch.nn.Module):
    """A loss whose tensors can be counted by hand: 4 bytes for each number."""

    config = SimpleNamespace(trainer=SimpleNamespace(compile=False))

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(100))

    def loss(self, batch):
        noisy = torch.nn.functional.dropout(batch * self.weight, 0.5)  # a product, a mask of bytes, and what is left
        return noisy.sum()


def test_tensors_are_counted_while_they_live_and_nothing_else_changes():
    task, batch, state = Product().eval(), torch.ones(1000, 100), [torch.zeros(100), torch.zeros(()), None, 1]
    task.weight.grad = torch.full((100,), 3.0)
    before = torch.random.get_rng_state()
    found = step_bytes(task, batch, state)
    product, mask, scalar = 400_000, 100_000, 4
    # Forward: the product, the mask, what is left and some of the same size while it is made; beside the old gradient.
    assert product + mask <= found - 404 - 400 <= 3 * product + 2 * mask + scalar
    assert step_bytes(task, batch, [*state, torch.zeros(1000)]) == found + 4000
    assert step_bytes(task, torch.ones(2000, 100), state) > 1.9 * found
    assert torch.equal(torch.random.get_rng_state(), before) and not task.training
    assert task.weight.grad.tolist() == [3.0] * 100


def test_the_same_model_takes_the_same_memory_from_any_seed(make_config):
    def peak(*overrides):
        config = make_config(*SMOKE, "tracking=disabled", *overrides)
        return train(config, []).summary["cost"]["peak_memory_bytes"]

    (one,) = {peak("seed=1"), peak("seed=2", "attention=multihead", "attention.heads=1")}
    assert 0 < one < peak("backbone.layers=2")
