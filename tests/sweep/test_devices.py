"""Who gets what of a machine: GPUs one for each run, cores divided between those that train at the same time."""

import multiprocessing

import pytest

from attncompare.errors import Refused, RunFailed
from attncompare.sweep import devices
from attncompare.sweep.devices import gpus_here, share


@pytest.fixture
def divided(jobs_of):
    def divided(trainer, count=8, workers=None, cores=8, gpus=()):
        shared = share(jobs_of(*(f"{trainer} seed={seed}" for seed in range(count))), workers, cores, gpus)
        return shared.workers, shared.threads, shared.devices

    return divided


def test_one_run_for_each_core(divided):
    assert divided("trainer=cpu") == (8, 1, [None] * 8)
    assert divided("trainer=cpu", count=3) == (3, 2, [None] * 3)
    assert divided("trainer=cpu", workers=2) == (2, 4, [None] * 2)


@pytest.mark.parametrize("trainer", ["trainer=auto", "trainer=gpu"])
def test_one_run_for_each_gpu(divided, trainer):
    assert divided(trainer, gpus=["0", "1"]) == (2, 4, ["0", "1"])
    assert divided(trainer, gpus=["GPU-a", "3"], count=1) == (1, 8, ["GPU-a"])


def test_more_runs_than_gpus_share_them_in_turn(divided):
    assert divided("trainer=gpu", workers=3, gpus=["0", "1"]) == (3, 2, ["0", "1", "0"])


def test_a_run_on_the_cpu_leaves_the_gpus_alone(divided):
    assert divided("trainer=cpu", gpus=["0", "1"]) == (8, 1, [None] * 8)


def test_a_run_of_several_processes_has_as_many_gpus_or_cores(divided):
    assert divided("trainer=cpu trainer.devices=2") == (4, 1, [None] * 4)
    assert divided("trainer=gpu trainer.devices=2", gpus=["0", "1", "2", "3"]) == (2, 2, ["0,1", "2,3"])


def test_without_enough_gpus_nothing_starts(divided):
    with pytest.raises(Refused, match=r"trainer.accelerator=gpu: no CUDA device found; use trainer=auto"):
        divided("trainer=gpu")
    for trainer in ("trainer=gpu trainer.devices=2", "trainer=auto trainer.devices=2"):
        with pytest.raises(Refused, match=r"trainer.devices=2: only 1 CUDA device found; use fewer, or trainer=cpu"):
            divided(trainer, gpus=["0"])


def test_without_any_gpu_several_processes_share_the_cores(divided):
    assert divided("trainer=auto trainer.devices=2") == (4, 1, [None] * 4)


def _two(connection):
    connection.send(2)


def _none(connection):
    raise SystemExit


def test_gpus_are_named_as_the_variable_names_them(monkeypatch):
    processes = multiprocessing.get_context("fork")
    monkeypatch.setattr(devices, "_count", _two)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus_here(processes) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-x,7")
    assert gpus_here(processes) == ["3", "GPU-x"]
    monkeypatch.setattr(devices, "_count", _none)
    with pytest.raises(RunFailed, match="train with trainer=cpu"):
        gpus_here(processes)
