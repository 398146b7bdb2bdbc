"""What breaks around a run: nothing that was reported as written is lost, the record is true, and it can go on."""

import errno
import json
import math
import multiprocessing
import os
import resource
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import torch
from commands import SMOKE, composed_config, environment
from killed_process import BEGINNING
from outcomes import assert_same
from safetensors.torch import load_file

from attncompare.errors import RunFailed
from attncompare.record import Run, files, find_runs
from attncompare.tasks.translation import Translation
from attncompare.training import failures
from attncompare.training.run import resume, train

RUN = (*SMOKE, "tracking=disabled", "tracking.probes=1", "tracking.images=0")
RUN = (*RUN, "trainer.max_steps=6", "trainer.validate_every=2")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return train(composed_config(tmp_path_factory.mktemp("runs"), RUN))


class Failing:
    """Lets the n-th sync of a file fail, and all later ones until it is mended; counts them."""

    def __init__(self, monkeypatch, number, code):
        self.count, self.number, self.code, self.mended = 0, number, code, False
        self._sync = os.fsync
        monkeypatch.setattr(files.os, "fsync", self)

    def __call__(self, descriptor):
        self.count += 1
        if not self.mended and self.count > self.number:
            raise OSError(self.code, os.strerror(self.code))
        self._sync(descriptor)


@pytest.fixture(scope="module")
def syncs(tmp_path_factory):
    """How many files and folders RUN syncs."""
    with pytest.MonkeyPatch.context() as patched:
        counter = Failing(patched, 10**9, 0)
        train(composed_config(tmp_path_factory.mktemp("runs"), RUN))
    return counter.count


def survive(make_config, monkeypatch, number, undisturbed, code=errno.ENOSPC):
    """Train until a write fails and all after it, mend the disk, go on, and compare."""
    found = []
    with monkeypatch.context() as patched:
        disk = Failing(patched, number, code)
        with pytest.raises(RunFailed, match=os.strerror(code)) as failed:
            train(make_config(*RUN), on_folder=found.append)
        disk.mended = True
        if not found:
            return False
        assert str(found[0]) in str(failed.value) and "\n" not in str(failed.value)
        assert not list(found[0].rglob("*.tmp"))
        assert Run.open(found[0]).state == "running" and not Run.open(found[0]).alive()
        assert_same(resume(found[0]), undisturbed)
    return True


@pytest.mark.parametrize(
    ("share", "code"),
    [(0.3, errno.ENOSPC), (0.5, errno.EROFS), (0.7, errno.EIO), (0.85, errno.EDQUOT), (0.95, errno.ENOSPC)],
)
def test_a_disk_that_is_full_or_broken_from_some_write_on_loses_nothing(
    make_config, monkeypatch, undisturbed, syncs, share, code
):
    assert survive(make_config, monkeypatch, int(share * syncs), undisturbed, code)


@pytest.mark.long
def test_a_disk_that_is_full_from_any_write_on_loses_nothing(make_config, monkeypatch, undisturbed, syncs):
    survived = sum(survive(make_config, monkeypatch, number, undisturbed) for number in range(syncs - 1))
    assert survived == syncs - 1 - BEGINNING
    print(f"full from each of {syncs} writes on, {survived} of them after the record had begun")


def test_a_record_that_is_whole_is_finished_though_its_last_sync_failed(make_config, monkeypatch, undisturbed, syncs):
    with monkeypatch.context() as patched:
        Failing(patched, syncs - 1, errno.EIO)
        run = train(make_config(*RUN))
    assert_same(run, undisturbed)
    assert "a loss of power now could undo that (Input/output error)" in (run.path / "run.log").read_text()


def test_room_that_is_reserved_lets_the_record_say_that_the_disk_is_full(make_config, monkeypatch, undisturbed, syncs):
    """As on a real disk: only the space that the record itself gives back can be written to."""
    found = []
    with monkeypatch.context() as patched:
        disk = Failing(patched, syncs // 2, errno.ENOSPC)
        unlink = Path.unlink

        def give_back(path, **options):
            unlink(path, **options)
            disk.mended = disk.mended or path.name == ".reserve"

        patched.setattr(Path, "unlink", give_back)
        with pytest.raises(RunFailed):
            train(make_config(*RUN), on_folder=found.append)
    run = Run.open(found[0])
    assert run.state == "failed"
    assert "No space left on device" in run.summary["message"]
    assert f"attncompare train --resume {run.path}" in run.summary["message"]
    assert_same(resume(run.path), undisturbed)


# In a mount namespace of its own, so that nothing outside sees it.
ON_A_SMALL_DISK = """
import json, pathlib, subprocess, sys
sys.path.insert(0, sys.argv[1])
from commands import composed_config
from attncompare.errors import RunFailed
from attncompare.training.run import resume, train
disk, overrides = pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
def mount(*options): subprocess.run(["mount", *options, str(disk)], check=True)
mount("-t", "tmpfs", "-o", sys.argv[4], "tmpfs")
found = []
try: train(composed_config(disk / "runs", overrides), on_folder=found.append)
except RunFailed as error: print(json.dumps(str(error)))
print(json.dumps(json.loads((found[0] / "summary.json").read_text())))
mount("-o", "remount,rw,size=64m")
print(json.dumps(resume(found[0]).summary))
"""


def may_mount():
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.long
@pytest.mark.skipif(not may_mount(), reason="only root may mount a small disk")
def test_a_real_disk_that_fills_up(tmp_path, undisturbed):
    (tmp_path / "disk").mkdir()
    arguments = [Path(__file__).parents[1], tmp_path / "disk", json.dumps(RUN), "size=200k"]
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", ON_A_SMALL_DISK, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    said, failed, resumed = map(json.loads, done.stdout.splitlines())
    assert "No space left on device" in said
    assert failed["state"] == "failed" and "No space left on device" in failed["message"]
    assert resumed["training_state_sha256"] == undisturbed.summary["training_state_sha256"]


def test_a_clock_that_is_set_back_changes_nothing(make_config, monkeypatch, undisturbed):
    hours = iter(range(100_000, 0, -1))

    class Backwards(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(next(hours) * 3600, tz)

    monkeypatch.setattr(files, "datetime", Backwards)
    monkeypatch.setattr("time.time", lambda: float(next(hours) * 3600))
    resumed = resume(train(make_config(*RUN), stop_after=3).path)
    assert_same(resumed, undisturbed)
    assert resumed.summary["wall_seconds"] >= 0 and resumed.summary["cost"]["train_seconds"] > 0


def test_a_folder_that_is_taken_away_ends_the_run_in_words(make_config):
    gone = []

    def take_away(progress):
        if progress.step == 4 and not gone[1:]:
            gone.append(gone[0].rename(gone[0].with_name("elsewhere")))

    with pytest.raises(RunFailed, match="No such file or directory"):
        train(make_config(*RUN), on_folder=gone.append, on_progress=take_away)


def spoil(monkeypatch, step, change):
    """Change the training loss at the steps from ``step`` on; gives the batches that were seen."""
    loss, batches = Translation.loss, []

    def changed(self, batch):
        batches.append(batch)
        value = loss(self, batch)
        return change(value) if self.global_step >= step else value

    monkeypatch.setattr(Translation, "loss", changed)
    return batches


def explode(value):
    value.register_hook(lambda gradient: gradient * math.inf)
    return value


@pytest.mark.parametrize(
    ("change", "words"),
    [(lambda value: value * math.nan, "training loss is nan"), (explode, r"gradient's norm is (nan|inf)")],
    ids=["loss", "gradient"],
)
def test_nan_stops_the_run_and_the_batch_and_weights_are_written_for_inspection(
    make_config, monkeypatch, change, words
):
    batches, found = spoil(monkeypatch, 3, change), []
    with pytest.raises(RunFailed, match=f"step 3: the {words}") as failed:
        train(make_config(*RUN), on_folder=found.append)
    run = Run.open(found[0])
    assert run.state == "failed" and str(failed.value) == f"{run.path}: {run.summary['message']}"
    assert "last good weights are those of step 2, checkpoints/last.safetensors" in run.summary["message"]
    assert "failure/" in run.summary["message"]
    batch = json.loads((run.path / "failure" / "batch.json").read_text())
    assert batch["step"] == 3 and len(batch["rows"]) == len(batches[-1].source_BS)
    assert all(row["target"].startswith("<bos>") and "<eos>" in row["source"] for row in batch["rows"])
    tensors = load_file(run.path / "failure" / "batch.safetensors")
    assert torch.equal(tensors["source_BS"], batches[-1].source_BS)
    for name in ("failure/weights", "checkpoints/last"):
        assert all(tensor.isfinite().all() for tensor in load_file(run.path / f"{name}.safetensors").values())


def test_a_validation_loss_that_is_nan_leaves_the_weights_before_it_also_when_resumed(make_config, monkeypatch):
    evaluate_batch, found = Translation.evaluate_batch, []

    def spoilt(self, batch, split):
        outputs = evaluate_batch(self, batch, split)
        if self.global_step == 4 and 16 in batch.index_B:
            outputs["nats_N"][0] = math.nan
        return outputs

    monkeypatch.setattr(Translation, "evaluate_batch", spoilt)
    words = r"step 4: the validation loss is NaN.*weights are those of step 2, .*failure/"
    with pytest.raises(RunFailed, match=words):
        train(make_config(*RUN), on_folder=found.append)
    assert 16 in load_file(found[0] / "failure" / "batch.safetensors")["index_B"]
    last = (found[0] / "checkpoints" / "last.safetensors").read_bytes()
    with pytest.raises(RunFailed, match=words):
        resume(found[0])
    assert Run.open(found[0]).state == "failed"
    assert (found[0] / "checkpoints" / "last.safetensors").read_bytes() == last


def test_a_run_that_diverges_without_help_ends_with_exit_code_1(cli):
    code, out, err = cli("train", *RUN, "optimizer.lr=1e30", "optimizer.clip_norm=null", "optimizer.warmup_steps=0")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("error: runs/") and "Traceback" not in err
    (run,) = find_runs(["runs"])
    assert run.state == "failed" and "no weights were written before" in run.summary["message"]
    assert not (run.path / "checkpoints").exists()


def test_any_other_exception_ends_the_record_too_and_its_trace_is_in_the_log(make_config, monkeypatch):
    def broken(self):
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(Translation, "predictions", broken)
    folders = []
    with pytest.raises(RuntimeError):
        train(make_config(*RUN), on_folder=folders.append)
    run = Run.open(folders[0])
    assert (run.state, run.summary["message"]) == ("failed", "RuntimeError: the disk is on fire")
    assert "Traceback" in (run.path / "run.log").read_text()


def train_in_little_memory(config, connection):
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    room = int(status["VmSize"].split()[0]) * 1024 + 300 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    found = []
    try:
        train(config, threads=1, on_folder=found.append)
    except RunFailed as error:
        connection.send((found[0], str(error)))


def test_out_of_memory_says_what_takes_it(make_config):
    config = make_config(*RUN, "backbone.d_ff=30000", "data.batch_size=300")
    context = multiprocessing.get_context("forkserver")
    mine, theirs = context.Pipe()
    process = context.Process(target=train_in_little_memory, args=(config, theirs))
    process.start()
    theirs.close()
    folder, said = mine.recv()
    process.join()
    assert "out of memory; with data.batch_size=300, one attention map of B*H*T*S = 300*1*64*64 numbers" in said
    assert all(key in said for key in ("trainer.accumulate", "data.batch_size", "task.max_length", "attention.heads"))
    assert Run.open(folder).state == "failed"


def test_a_model_too_large_to_be_made_is_refused_in_words(cli):
    code, _, err = cli("train", *RUN, "backbone.d_model=1000000", "backbone.d_ff=100000000")
    assert code == 1 and "Traceback" not in err
    assert err.splitlines()[-1].startswith("error: out of memory; with ")
    assert not list(Path("runs").rglob("*.yaml"))


def test_out_of_memory_is_known_by_the_words_of_every_library(make_config):
    config = make_config(*RUN, "data.batch_size=null", "data.batch_tokens=6400", "trainer.accumulate=2")
    for error in (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried"),
    ):
        assert "data.batch_tokens=6400, one attention map of B*H*T*S = 50*1*64*64" in failures.explain(
            error, config, Path("run")
        )
    assert failures.explain(RuntimeError("shapes do not match"), config, Path("run")) is None
