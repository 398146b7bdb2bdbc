"""The mean of the weights of the last validations."""

import pytest
import torch
from commands import SMOKE
from safetensors.torch import load_file

from attncompare.errors import RunFailed
from attncompare.training.averaging import Snapshots, remove_snapshots
from attncompare.training.callback import Tracking
from attncompare.record import Run
from attncompare.record import read_manifest
from attncompare.training.run import train
from attncompare.inference.trained import load

QUIET = (*SMOKE, "tracking=disabled", "tracking.probes=1", "trainer.max_steps=9", "trainer.validate_every=2")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def weights(step):
    generator = torch.Generator().manual_seed(step)
    return {"w": torch.randn(5, 3, generator=generator), "b": torch.full((2,), float(step))}


@pytest.mark.parametrize("last", [1, 2, 5, 50])
def test_it_is_the_mean_of_the_last_ones(folder, last):
    snapshots = Snapshots(folder, last)
    for step in range(10, 130, 10):
        snapshots.add(step, weights(step))
    steps = list(range(10, 130, 10))[-last:]
    assert snapshots.steps == steps
    for name, mean in snapshots.mean().items():
        expected = torch.stack([weights(step)[name].double() for step in steps]).mean(0)
        assert mean.dtype == torch.float32
        torch.testing.assert_close(mean.double(), expected, rtol=1e-5, atol=1e-6)
    assert len(list(folder.glob("checkpoints/snapshot-*"))) == min(last + 1, 12)
    remove_snapshots(folder)
    assert list((folder / "checkpoints").iterdir()) == []


def test_a_future_that_was_given_up_is_removed(folder):
    snapshots = Snapshots(folder, 3)
    for step in (10, 20, 30):
        snapshots.add(step, weights(step))
    again = Snapshots(folder, 3)
    again.restore([[10, snapshots.state()[0][1]]])
    again.add(15, weights(15))
    assert [file.stem for file in sorted(folder.glob("checkpoints/*"))] == ["snapshot-0000010", "snapshot-0000015"]
    assert again.steps == [10, 15]


def test_weights_that_are_not_what_was_written_are_not_averaged(folder):
    snapshots = Snapshots(folder, 2)
    for step in (10, 20):
        snapshots.add(step, weights(step))
    file = folder / "checkpoints" / "snapshot-0000010.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(
        RunFailed, match=r"snapshot-0000010.safetensors: not what was written, and the average needs it"
    ):
        snapshots.mean()


def test_a_run_is_tested_with_the_average_and_keeps_its_best_and_last(make_config, monkeypatch):
    seen, save = {}, Tracking._save_weights

    def saved(self, step, loss):
        seen[step] = {name: parameter.detach().clone() for name, parameter in self.task.model.named_parameters()}
        save(self, step, loss)

    monkeypatch.setattr(Tracking, "_save_weights", saved)
    plain, averaged = train(make_config(*QUIET)), train(make_config(*QUIET, "trainer.average_last=3"))
    assert (plain.summary["tested"], averaged.summary["tested"]) == ("best", "averaged")
    assert averaged.summary["averaged"]["steps"] == [6, 8, 9]
    assert averaged.summary["averaged"]["val"].keys() == averaged.summary["val"].keys()
    assert averaged.summary["test"] != plain.summary["test"]
    names = ("best", "last")
    files = [
        (run.path / "checkpoints" / f"{name}.safetensors").read_bytes() for run in (plain, averaged) for name in names
    ]
    assert files[:2] == files[2:]
    assert {file.name for file in (averaged.path / "checkpoints").iterdir()} == {
        *("best.safetensors", "last.safetensors", "averaged.safetensors")
    }
    assert "checkpoints/averaged.safetensors" in read_manifest(averaged.path)
    mean = load_file(averaged.path / "checkpoints" / "averaged.safetensors")
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, sum(seen[step][name] for step in (6, 8, 9)) / 3, rtol=1e-5, atol=1e-6)
    loaded = dict(load(averaged.path).task.model.named_parameters())
    assert all(torch.equal(loaded[name], tensor) for name, tensor in mean.items())
    assert Run.open(averaged.path).tested_weights == "checkpoints/averaged.safetensors"


def test_fewer_validations_than_asked_for_are_all_averaged(make_config):
    run = train(make_config(*QUIET, "trainer.average_last=100"))
    assert run.summary["averaged"]["steps"] == [2, 4, 6, 8, 9]
