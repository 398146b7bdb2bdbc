"""The processes of a sweep on this machine: how it is shared, and what happens when one of them does not end well."""

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import struct
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from pytorch_lightning.strategies.launchers import subprocess_script
from rich.console import Console

from attncompare import training
from attncompare.errors import Refused, RunFailed
from attncompare.sweep import pool
from attncompare.sweep.folder import Sweep, start


@pytest.fixture
def divided(jobs_of):
    def divided(trainer, count=8, workers=None, cores=8, gpus=()):
        shared = pool.share(jobs_of(*(f"{trainer} seed={seed}" for seed in range(count))), workers, cores, gpus)
        return shared.workers, shared.threads, shared.devices

    return divided


def test_cores_are_divided_between_runs_on_the_cpu(divided):
    assert divided("trainer=cpu") == (8, 1, [None] * 8)
    assert divided("trainer=cpu", count=3) == (3, 2, [None] * 3)
    assert divided("trainer=cpu", workers=2) == (2, 4, [None] * 2)
    assert divided("trainer=cpu", gpus=["0", "1"]) == (8, 1, [None] * 8)
    assert divided("trainer=cpu trainer.devices=2") == (4, 1, [None] * 4)
    assert divided("trainer=auto trainer.devices=2") == (4, 1, [None] * 4)


def test_gpus_are_divided_between_runs_that_use_them(divided):
    for trainer in ("trainer=auto", "trainer=gpu"):
        assert divided(trainer, gpus=["0", "1"]) == (2, 4, ["0", "1"])
        assert divided(trainer, gpus=["GPU-a", "3"], count=1) == (1, 8, ["GPU-a"])
    assert divided("trainer=gpu", workers=3, gpus=["0", "1"]) == (3, 2, ["0", "1", "0"])
    assert divided("trainer=gpu trainer.devices=2", gpus=["0", "1", "2", "3"]) == (2, 2, ["0,1", "2,3"])


def test_without_enough_gpus_nothing_starts(divided):
    with pytest.raises(Refused, match=r"trainer.accelerator=gpu: .*trainer=auto"):
        divided("trainer=gpu")
    for trainer in ("trainer=gpu trainer.devices=2", "trainer=auto trainer.devices=2"):
        with pytest.raises(Refused, match=r"trainer.devices=2: only 1 CUDA device"):
            divided(trainer, gpus=["0"])


def two_gpus():
    return 2


def no_answer():
    os._exit(1)


def test_gpus_are_named_as_the_variable_names_them(monkeypatch):
    processes = multiprocessing.get_context("fork")
    monkeypatch.setattr(pool, "_gpu_count", two_gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert pool.gpus_here(processes) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-x,7")
    assert pool.gpus_here(processes) == ["3", "GPU-x"]
    monkeypatch.setattr(pool, "_gpu_count", no_answer)
    with pytest.raises(RunFailed, match="train with trainer=cpu"):
        pool.gpus_here(processes)


@pytest.mark.parametrize("begun", [False, True])
def test_lightning_would_start_further_processes_of_this_run_alone(jobs_of, monkeypatch, tmp_path, begun):
    """As ``ddp`` does, by running the command line again: under ``-m`` that would be the whole sweep."""
    (job,) = jobs_of("seed=3 optimizer.lr=0.1")
    monkeypatch.setattr(sys, "argv", ["attncompare train", "-m", "seed=3,4"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setenv("PYTHONSAFEPATH", "")  # so that it is taken back, whatever is done with it
    monkeypatch.delenv("PYTHONSAFEPATH")
    commands = []
    for name in ("train", "resume"):
        monkeypatch.setattr(
            training, name, lambda *_, **__: commands.append(subprocess_script._basic_subprocess_cmd()), raising=False
        )
    monkeypatch.setattr(pool.variants, "also_in", lambda _: None)
    job = replace(job, begun=tmp_path if begun else None, own_configs=tmp_path / "conf")
    pool.train_member(job, pool.Place(tmp_path, "group", threads=2))
    asked = ["--config-dir", str(tmp_path / "conf"), "seed=3", "optimizer.lr=0.1", "trainer.threads=2"]
    words = ["--resume", str(tmp_path)] if begun else asked
    assert commands == [[sys.executable, "-m", "attncompare.__main__", "train", *words]]


@pytest.fixture
def train(jobs_of, monkeypatch, leave):
    """Train seeds 1 and 2, one after the other, in processes that do as the first says; gives what was told."""
    monkeypatch.setattr(pool, "_processes", lambda: multiprocessing.get_context("fork"))

    def work(job, place, output, connection, first):
        def left(state):
            connection.send(leave(Sweep.open(place.folder), job, state))

        output.write_text("preparing\n")
        if job.config.seed == 1 and first:
            first(SimpleNamespace(connection=connection, output=output, left=left, folder=place.folder))
        else:
            left("finished")
            connection.send("finished")

    def train(first=None):
        monkeypatch.setattr(pool, "work", lambda *given: work(*given, first))
        jobs, said = jobs_of("trainer=cpu seed=1", "trainer=cpu seed=2"), io.StringIO()

        def launch(sweep, left, _):
            pool.train_here(sweep, left, Console(file=said), workers=1)

        with contextlib.suppress(RunFailed):
            start(jobs, "attncompare train -m", launch, fresh=False)
        return said.getvalue()

    return train


@pytest.fixture
def states(cli, tmp_path):
    """Give the states that ``attncompare sweeps --json`` counts."""
    return lambda: json.loads(cli("sweeps", tmp_path / "runs", "--json")[1])["sweeps"][0]["states"]


def half_a_message(run):
    os.write(run.connection.fileno(), struct.pack("!i", 100) + b"half")
    os._exit(1)


def no_record(run):
    run.connection.send(run.folder / "nowhere")
    run.connection.send("finished")


def refused(run):
    run.output.write_text("preparing\nerror: needs more memory\x1b[2J\n")
    run.connection.send("failed")


def killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


def killed_with_a_record(run):
    run.left("running")
    killed(run)


def taken_back(run):
    """End as a run does whose record could not even be begun."""
    run.left("running")
    for folder in run.folder.glob("*-s1-*"):
        shutil.rmtree(folder)
    refused(run)


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (half_a_message, "failed (exit code 1)"),
        (no_record, "nowhere: no such folder"),
        (refused, "error: needs more memory\\x1b[2J"),
        (taken_back, "error: needs more memory\\x1b[2J"),
        (killed, "failed (SIGKILL: the system may have run out of memory)"),
        (killed_with_a_record, "failed (SIGKILL: the system may have run out of memory)"),
    ],
)
def test_a_process_that_does_not_end_well_is_told_and_counts_as_failed_until_it_is_started_again(
    train, states, first, words
):
    assert words in train(first)
    assert states() == {"failed": 1, "finished": 1}
    train()
    assert states() == {"finished": 2}
