"""``trainer.accumulate`` changes memory alone: the same sums as with all rows of a batch at once."""

import pytest
import torch
from commands import SMOKE
from pytorch_lightning import Trainer
from safetensors.torch import load_file
from training_runs import LANGUAGE_MODEL, NO_TRACKING

from attncompare.data.module import DataModule
from attncompare.tasks import build_task
from attncompare.training.run import train

# 15 rows in a batch and one in the last one of an epoch: parts are uneven in rows and in tokens, and some have none.
PAIRS = (*SMOKE, *NO_TRACKING, "data.train_size=46", "data.batch_size=15", "backbone.dropout=0")
TEXT = (*LANGUAGE_MODEL, "data.train_size=46", "data.batch_size=15", "backbone.dropout=0", "attention.dropout=0")
# Of some rows, the mask opens some answers or all of them.
PREFIX = (*TEXT, "attention=prefix", "attention.mask.length=12", "data.pairs=2")
CLOCK = ("train/tokens_per_second", "train/seconds")
EACH = pytest.mark.parametrize("overrides", [PAIRS, TEXT, PREFIX], ids=["translation", "language model", "prefix"])


def gradients(config):
    """Return the gradients of each optimizer step of the first epoch, and the tokens of each, without any update."""
    data = DataModule(config)
    data.prepare()
    task = build_task(config, data.tokenizer)
    task._trainer = Trainer(
        accelerator="cpu", accumulate_grad_batches=config.trainer.accumulate, logger=False, enable_progress_bar=False
    )
    steps = []
    for number, batch in enumerate(data.train_dataloader(), 1):
        (task.training_step(batch, number) / config.trainer.accumulate).backward()  # as Lightning takes the mean
        if number % config.trainer.accumulate == 0:
            found = {name: p.grad for name, p in task.named_parameters()}
            steps.append((batch.step_tokens, {name: grad.clone() for name, grad in found.items() if grad is not None}))
            task.zero_grad()
    return steps


@EACH
def test_gradients_of_two_and_four_parts_are_those_of_the_whole_batch(make_config, overrides):
    whole, *others = (
        gradients(make_config(*overrides, "trainer.limit_batches=null", f"trainer.accumulate={parts}"))
        for parts in (1, 2, 4)
    )
    assert len(whole) == 4  # of 15, 15, 15 and one row
    for other in others:
        for (tokens, expected), (as_many, found) in zip(whole, other, strict=True):
            assert tokens == as_many and expected.keys() == found.keys()
            for name, gradient in expected.items():
                torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=2e-6)


@EACH
def test_runs_of_one_and_three_parts_have_the_same_curves(make_config, overrides):
    changes = (
        "trainer.limit_batches=null",
        "trainer.max_steps=8",
        "trainer.validate_every=4",
        "optimizer.warmup_steps=0",
    )
    one, three = (
        train(make_config(*overrides, *changes, "optimizer.clip_norm=0.05", f"trainer.accumulate={parts}"))
        for parts in (1, 3)
    )
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
