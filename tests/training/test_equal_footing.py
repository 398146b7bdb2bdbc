"""Variants train on equal footing: the same initial values, the same batches, the same random numbers of dropout."""

import pytest
import torch
from commands import SMOKE
from training_runs import NO_TRACKING

from attncompare.data.module import DataModule
from attncompare.tasks import Task
from attncompare.training.run import train

CHOSEN = ("additive", "scaled", "multi_query", "t5")  # parameters of their own, of other shapes, and neither
DROPOUT = (*SMOKE, *NO_TRACKING, "backbone.dropout=0.3", "trainer.max_steps=4", "trainer.limit_batches=3")


@pytest.fixture
def seen(monkeypatch):
    """What each run of this test saw: initial parameters, random states before each step, and rows of each batch."""
    runs, loss = [], Task.training_step

    def on_train_start(self):
        values = {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}
        runs.append({"values": values, "states": [], "rows": []})

    def training_step(self, batch, batch_idx):
        runs[-1]["states"].append(torch.get_rng_state())
        runs[-1]["rows"].append(batch.index_B.tolist())
        return loss(self, batch, batch_idx)

    monkeypatch.setattr(Task, "on_train_start", on_train_start)
    monkeypatch.setattr(Task, "training_step", training_step)
    return runs


def test_variants_share_initial_values_batches_and_random_numbers(make_config, seen):
    for variant in CHOSEN:
        train(make_config(*DROPOUT, f"attention={variant}"))
    first, *others = seen
    assert len(others) == len(CHOSEN) - 1
    for other in others:
        # Some have parameters of their own, or projections of another shape.
        same = [torch.equal(value, first["values"].get(name, value)) for name, value in other["values"].items()]
        shapes = [value.shape == first["values"].get(name, value).shape for name, value in other["values"].items()]
        assert same == shapes and sum(shapes) > len(shapes) / 2
        assert first["rows"] == other["rows"]
        assert all(map(torch.equal, first["states"], other["states"]))


def test_the_seed_changes_dropout_and_not_the_order_of_batches(make_config, seen):
    for changes in ((), ("seed=2",), ("data_seed=2",), ("backbone.dropout=0",)):
        train(make_config(*DROPOUT, *changes))
    plain, seed, data_seed, without = seen
    assert plain["rows"] == seed["rows"] == without["rows"] != data_seed["rows"]
    assert not torch.equal(plain["states"][0], seed["states"][0])
    assert torch.equal(plain["states"][0], without["states"][0])
    assert not torch.equal(plain["states"][1], without["states"][1])  # where nothing is dropped, nothing is drawn


def test_batches_are_drawn_from_no_global_generator(make_config):
    data = DataModule(make_config(*DROPOUT))
    data.prepare()
    before = torch.get_rng_state()
    list(data.train_dataloader())
    assert torch.equal(torch.get_rng_state(), before)
