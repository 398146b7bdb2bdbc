"""The mean of the weights of the last validations."""

from types import SimpleNamespace

import pytest
import torch
from commands import SMOKE
from safetensors.torch import load_file
from torch import nn
from training_runs import NO_TRACKING

from attncompare.inference.trained import load
from attncompare.record import Run
from attncompare.training.checkpoint import Weights, remove_checkpoints
from attncompare.training.run import train

RUN = (*SMOKE, *NO_TRACKING, "trainer.max_steps=9", "trainer.validate_every=2")


class Model(nn.Module):
    def __init__(self, step):
        super().__init__()
        generator = torch.Generator().manual_seed(step)
        self.w, self.b = (
            nn.Parameter(torch.randn(5, 3, generator=generator)),
            nn.Parameter(torch.full((2,), float(step))),
        )


def validate(weights, step, loss=1.0):
    """Let ``weights`` see a validation of a model after ``step``."""
    trainer = SimpleNamespace(
        state=SimpleNamespace(fn="fit"), sanity_checking=False, global_step=step, is_global_zero=True
    )
    trainer.callback_metrics = {"val/loss": torch.tensor(loss)}
    weights.on_validation_end(trainer, SimpleNamespace(model=Model(step)))


@pytest.mark.parametrize("last", [1, 2, 5, 50])
def test_it_is_the_mean_of_the_last_ones(tmp_path, last):
    weights = Weights(tmp_path, last)
    for step in range(10, 130, 10):
        validate(weights, step)
    steps = list(range(10, 130, 10))[-last:]
    assert weights.steps == steps
    for name, mean in weights.mean().items():
        expected = torch.stack([dict(Model(step).named_parameters())[name].double() for step in steps]).mean(0)
        assert mean.dtype == torch.float32
        torch.testing.assert_close(mean.double(), expected, rtol=1e-5, atol=1e-6)
    assert len(list(tmp_path.glob("checkpoints/snapshot-*"))) == min(last + 1, 12)
    remove_checkpoints(tmp_path)
    assert {file.stem for file in tmp_path.glob("checkpoints/*")} == {"best", "last"}


def test_going_back_to_a_checkpoint_forgets_the_validations_after_it(tmp_path):
    weights = Weights(tmp_path, 3)
    validate(weights, 10, loss=0.5)
    state = weights.state_dict()
    for step in (20, 30):
        validate(weights, step, loss=0.1)
    again = Weights(tmp_path, 3)
    again.load_state_dict(state)
    assert (again.best_value, again.best_step) == (0.5, 10)
    validate(again, 15)
    assert again.steps == [10, 15]
    torch.testing.assert_close(again.mean()["b"], torch.full((2,), 12.5))


def test_a_run_is_tested_with_the_average_and_keeps_its_best_and_last(make_config, monkeypatch):
    seen, saved = {}, Weights.on_validation_end

    def on_validation_end(self, trainer, task):
        if trainer.state.fn == "fit":
            seen[trainer.global_step] = {name: p.detach().clone() for name, p in task.model.named_parameters()}
        saved(self, trainer, task)

    monkeypatch.setattr(Weights, "on_validation_end", on_validation_end)
    plain, averaged = train(make_config(*RUN)), train(make_config(*RUN, "trainer.average_last=3"))
    assert (plain.summary["tested"], averaged.summary["tested"]) == ("best", "averaged")
    assert averaged.summary["averaged"]["steps"] == [6, 8, 9]
    assert averaged.summary["averaged"]["val"].keys() == averaged.summary["val"].keys()
    assert averaged.summary["val"] == plain.summary["val"] and averaged.summary["test"] != plain.summary["test"]
    assert [row["step"] for row in averaged.metrics()] == [row["step"] for row in plain.metrics()]
    for name in ("best", "last"):
        one, other = ((run.path / "checkpoints" / f"{name}.safetensors").read_bytes() for run in (plain, averaged))
        assert one == other
    weights = {file.name for file in (averaged.path / "checkpoints").iterdir()}
    assert weights == {"best.safetensors", "last.safetensors", "averaged.safetensors"}
    assert averaged.has("checkpoints/averaged.safetensors")
    mean = load_file(averaged.path / "checkpoints" / "averaged.safetensors")
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, sum(seen[step][name] for step in (6, 8, 9)) / 3, rtol=1e-5, atol=1e-6)
    loaded = dict(load(averaged.path).task.model.named_parameters())
    assert all(torch.equal(loaded[name], tensor) for name, tensor in mean.items())
    assert Run.open(averaged.path).tested_weights == "checkpoints/averaged.safetensors"


def test_fewer_validations_than_asked_for_are_all_averaged(make_config):
    run = train(make_config(*RUN, "trainer.average_last=100", "trainer.max_steps=5"))
    assert run.summary["averaged"]["steps"] == [2, 4, 5]
