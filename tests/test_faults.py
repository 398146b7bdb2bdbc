"""What breaks around a run: nothing that was reported as written is lost, the record is true, and it can go on."""

import errno
import json
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
from killing import BEGINNING
from outcomes import assert_same
from safetensors.torch import load_file

from attncompare.training import demands, faults
from attncompare.errors import RunFailed
from attncompare.record import files, folders
from attncompare.record import Run, find_runs
from attncompare.training.run import resume, train

RUN = (*SMOKE, "tracking=disabled", "trainer.max_steps=6", "trainer.validate_every=2", "tracking.probes=1")


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


def number_of_writes(make_config, monkeypatch):
    with monkeypatch.context() as patched:
        counter = Failing(patched, 10**9, 0)
        train(make_config(*RUN))
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


@pytest.mark.parametrize("share", [0.2, 0.5, 0.75, 0.95])
def test_a_disk_that_is_full_from_some_write_on_loses_nothing(make_config, monkeypatch, undisturbed, share):
    number = int(share * number_of_writes(make_config, monkeypatch))
    assert survive(make_config, monkeypatch, number, undisturbed)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_a_folder_that_becomes_read_only_or_ill_loses_nothing(make_config, monkeypatch, undisturbed, code):
    assert survive(make_config, monkeypatch, 25, undisturbed, code)


@pytest.mark.long
def test_a_disk_that_is_full_from_any_write_on_loses_nothing(make_config, monkeypatch, undisturbed):
    writes = number_of_writes(make_config, monkeypatch)
    survived = sum(survive(make_config, monkeypatch, number, undisturbed) for number in range(writes - 1))
    assert survived == writes - 1 - BEGINNING
    print(f"full from each of {writes} writes on, {survived} of them after the record had begun")


def test_a_record_that_is_whole_is_finished_though_its_last_sync_failed(make_config, monkeypatch, undisturbed):
    last = number_of_writes(make_config, monkeypatch) - 1
    with monkeypatch.context() as patched:
        Failing(patched, last, errno.EIO)
        run = train(make_config(*RUN))
    assert_same(run, undisturbed)
    assert (
        "finished, but a loss of power now could undo that (Input/output error)" in (run.path / "run.log").read_text()
    )


def test_room_kept_back_lets_the_record_say_that_the_disk_is_full(make_config, monkeypatch, undisturbed):
    """As on a real disk: only the space that the record itself gives back can be written to."""
    found = []
    with monkeypatch.context() as patched:
        disk = Failing(patched, 30, errno.ENOSPC)
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
    assert f"go on with: attncompare train --resume {run.path}" in run.summary["message"]
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


NEEDS_MOUNT = pytest.mark.skipif(not may_mount(), reason="only root may mount a small disk")


@NEEDS_MOUNT
def test_a_real_disk_that_fills_up(tmp_path, undisturbed):
    (tmp_path / "disk").mkdir()
    arguments = [Path(__file__).parent, tmp_path / "disk", json.dumps(RUN), "size=400k"]
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


@NEEDS_MOUNT
def test_a_full_dev_shm_does_not_matter(tmp_path):
    sweep = [sys.executable, "-m", "attncompare.cli", "train", "-m", "attention=dot,scaled", *RUN]
    shell = 'mount -t tmpfs -o size=4k tmpfs /dev/shm && head -c 4096 /dev/zero > /dev/shm/full && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", shell, "sh", *sweep],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert [run.state for run in find_runs([tmp_path])] == ["finished"] * 2


def test_a_clock_that_is_set_back_changes_nothing(make_config, monkeypatch, undisturbed):
    hours = iter(range(100_000, 0, -1))

    class Backwards(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(next(hours) * 3600, tz)

    monkeypatch.setattr(folders, "datetime", Backwards)
    monkeypatch.setattr("time.time", lambda: float(next(hours) * 3600))
    stopped = train(make_config(*RUN), stop_after=3)
    resumed = resume(stopped.path)
    assert_same(resumed, undisturbed)
    assert resumed.summary["wall_seconds"] >= 0 and resumed.summary["cost"]["train_seconds"] > 0


def test_a_folder_that_is_taken_away_ends_the_run_with_a_word(make_config):
    gone = []

    def take_away(progress):
        if progress.step == 4 and not gone[1:]:
            gone.append(gone[0].rename(gone[0].with_name("elsewhere")))

    with pytest.raises(RunFailed, match="No such file or directory"):
        train(make_config(*RUN), on_folder=gone.append, on_progress=take_away)


def test_the_batch_that_gave_no_number_is_kept_for_inspection(make_config, monkeypatch):
    from attncompare.tasks.translation import Translation

    loss, seen = Translation.loss, []

    def spoilt(self, batch):
        seen.append(batch)
        value, tokens = loss(self, batch)
        return (value * float("nan") if self.step == 3 else value), tokens

    monkeypatch.setattr(Translation, "loss", spoilt)
    found = []
    with pytest.raises(RunFailed, match="the batch and the weights are kept in failure/ for inspection"):
        train(make_config(*RUN), on_folder=found.append)
    kept = json.loads((found[0] / "failure" / "batch.json").read_text())
    assert kept["step"] == 3
    assert len(kept["rows"]) == len(seen[-1].source_BS)
    assert all(row["target"].startswith("<bos>") and "<eos>" in row["source"] for row in kept["rows"])
    assert torch.equal(load_file(found[0] / "failure" / "batch.safetensors")["source_BS"], seen[-1].source_BS)
    weights = load_file(found[0] / "failure" / "weights.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def train_in_little_memory(config, connection):
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    room = int(status["VmSize"].split()[0]) * 1024 + 300 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    found = []
    try:
        train(config, threads=1, on_folder=found.append)
    except RunFailed as error:
        connection.send((found[0], str(error)))


def test_a_gradient_that_is_no_number_stops_the_run_too(make_config, monkeypatch):
    from attncompare.tasks.translation import Translation

    loss = Translation.loss

    def spoilt(self, batch):
        value, tokens = loss(self, batch)
        if self.step == 3:
            value.register_hook(lambda gradient: gradient * float("inf"))
        return value, tokens

    monkeypatch.setattr(Translation, "loss", spoilt)
    with pytest.raises(
        RunFailed, match=r"step 3: the gradient's norm is (nan|inf); the last good weights are those of step 2"
    ):
        train(make_config(*RUN))


def test_the_batch_of_val_that_gave_no_number_is_kept_and_a_resumed_run_says_the_same(make_config, monkeypatch):
    from attncompare.tasks.translation import Translation

    evaluate_batch, found = Translation.evaluate_batch, []

    def spoilt(self, batch, split):
        evaluate_batch(self, batch, split)
        if self.step == 4 and 16 in batch.index_B:
            self.items.add(batch.index_B[:1], torch.tensor([float("nan")]))

    monkeypatch.setattr(Translation, "evaluate_batch", spoilt)
    words = "step 4: the validation loss is nan; the last good weights are those of step 2, .*; the batch and the weights are"
    with pytest.raises(RunFailed, match=words):
        train(make_config(*RUN), on_folder=found.append)
    assert 16 in load_file(found[0] / "failure" / "batch.safetensors")["index_B"]
    with pytest.raises(RunFailed, match=words):
        resume(found[0])
    assert Run.open(found[0]).state == "failed"


def test_out_of_memory_says_what_takes_it(make_config):
    config = make_config(*RUN, "backbone.d_ff=30000", "data.batch_size=300")
    context = multiprocessing.get_context("forkserver")
    mine, theirs = context.Pipe()
    process = context.Process(target=train_in_little_memory, args=(config, theirs))
    process.start()
    theirs.close()
    folder, said = mine.recv()
    process.join()
    assert "out of memory; with " in said
    assert "with data.batch_size=300, one attention map of B*H*T*S = 300*1*64*64 numbers" in said
    assert "lower data.batch_size, task.max_length or attention.heads" in said
    assert Run.open(folder).state == "failed"


def test_a_model_too_large_to_be_made_is_refused_in_words(cli, monkeypatch):
    monkeypatch.setattr(demands, "total_memory", lambda: None)  # as on a system that does not say what it has
    code, _, err = cli("train", *RUN, "backbone.d_model=1000000", "backbone.d_ff=100000000")
    assert code == 1 and "Traceback" not in err
    model = "error: out of memory; with backbone.d_model=1000000, backbone.layers=1, backbone.d_ff=100000000, "
    assert err.splitlines()[-1].startswith(model)
    assert "; lower backbone.d_model or backbone.layers or backbone.d_ff or task.max_length" not in err
    assert "; lower backbone.d_model" in err and err.index("; lower backbone") < err.index("one attention map")


def test_the_larger_part_of_what_takes_memory_comes_first(make_config):
    attention = faults.memory_formula(make_config(*RUN, "data.batch_size=3000", "attention.heads=100"))
    assert attention.startswith("with data.batch_size=3000, one attention map of B*H*T*S = 3000*100*64*64 numbers")
    by_tokens = faults.memory_formula(make_config(*RUN, "data.batch_size=null", "data.batch_tokens=192000"))
    assert "with data.batch_tokens=192000, one attention map of B*H*T*S = 3000*1*64*64 numbers" in by_tokens
    assert "lower data.batch_tokens, task.max_length or attention.heads" in by_tokens
    positions = faults.memory_formula(make_config(*RUN, "data.batch_size=1", "task.max_length=100000"))
    assert "one attention map" in positions.split("; ")[0], "quadratic in its length, so it comes first"
    positions = faults.memory_formula(
        make_config("backbone.d_model=100000", "task.max_length=9000", "data.batch_size=1")
    )
    assert positions.startswith("with backbone.d_model=100000, ")


def test_the_words_of_every_library_that_runs_out_of_memory_are_known(make_config):
    config = make_config(*RUN)
    for error in (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried"),
    ):
        assert "out of memory" in faults.explain(error, config, Path("run"))
    assert faults.explain(RuntimeError("shapes do not match"), config, Path("run")) is None
