"""Several batches of one optimizer step: the same training as with all their rows in one batch."""

import numpy as np
import pytest
from commands import SMOKE
from safetensors.torch import load_file

from attncompare.data.order import Plan
from attncompare.data.sets import PairSet
from attncompare.training.run import train

EVEN = (
    *(*SMOKE, "tracking=disabled", "trainer.max_steps=8", "trainer.validate_every=4", "trainer.limit_batches=null"),
    *("data.train_size=50", "backbone.dropout=0", "optimizer.warmup_steps=0", "optimizer.clip_norm=0.05"),
)
CLOCK = ("train/tokens_per_second", "train/seconds")


@pytest.fixture
def uneven(monkeypatch):
    """Cut each batch of 15 rows into parts of 3, 11 and 1 rows, which hold very different numbers of tokens."""
    whole = PairSet.train_plan

    def parts(self, data_seed, epoch, batch_size, batch_tokens=None):
        plan = [keys for keys in whole(self, data_seed, epoch, 15, batch_tokens) if len(keys) == 15]
        if batch_size != 15:
            plan = [part for keys in plan for part in (keys[:3], keys[3:14], keys[14:])]
        return Plan(np.concatenate(plan), np.cumsum([0, *map(len, plan)]))

    monkeypatch.setattr(PairSet, "train_plan", parts)


@pytest.mark.usefixtures("uneven")
def test_three_batches_a_step_train_as_one_batch_of_all_their_rows(make_config):
    one = train(make_config(*EVEN, "data.batch_size=15"))
    three = train(make_config(*EVEN, "data.batch_size=5", "trainer.accumulate=3"))
    assert one.summary["steps"] == three.summary["steps"] == 8
    assert len(one.metrics()) == len(three.metrics()) == 10
    for first, second in zip(one.metrics(), three.metrics(), strict=True):
        figures = [{key: value for key, value in row.items() if key not in CLOCK} for row in (first, second)]
        assert figures[1] == pytest.approx(figures[0], rel=1e-4)
        assert (first["epoch"], first["train/tokens"]) == (second["epoch"], second["train/tokens"])
    weights = [load_file(run.path / "checkpoints" / "last.safetensors") for run in (one, three)]
    apart = {name: (weights[1][name] - tensor).abs().max().item() for name, tensor in weights[0].items()}
    # The softmax does not see a key's bias: its gradient is rounding alone, which Adam makes as large as any other.
    assert {name: far for name, far in apart.items() if far > 1e-4 and not name.endswith("key.bias")} == {}


def test_two_processes_accumulate_as_one(make_config):
    overrides = (*EVEN, "trainer.accelerator=cpu", "data.train_size=33", "trainer.accumulate=2", "trainer.max_steps=6")
    one, two = (train(make_config(*overrides, f"trainer.devices={devices}")) for devices in (1, 2))
    for first, second in zip(one.metrics(), two.metrics(), strict=True):
        figures = [{key: value for key, value in row.items() if key not in CLOCK} for row in (first, second)]
        assert figures[1] == pytest.approx(figures[0], rel=1e-5, abs=1e-5)
        assert first["train/tokens"] == second["train/tokens"]
