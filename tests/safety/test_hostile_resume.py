"""Unfinished runs from strangers: going on with one runs no command, and writes nowhere but in its folder."""

import os
import pickle
import shutil

import pytest
from commands import SMOKE, composed_config

from attncompare.record import Run


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """The folder of a run that stopped after its first step, with a checkpoint to go on from."""
    from attncompare.training.run import train

    home = tmp_path_factory.mktemp("unfinished")
    overrides = [*SMOKE, "tracking=disabled"]
    run = train(composed_config(home / "runs", overrides), overrides, stop_after=1)
    assert [file.name for file in run.path.glob("checkpoints/resume-*")] == ["resume-0000001.ckpt"]
    return run.path


@pytest.fixture
def left(unfinished, tmp_path):
    return shutil.copytree(unfinished, tmp_path / "left")


class Payload:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (os.system, (f"touch {self.canary}",))


def pickled(file, canary):
    file.write_bytes(pickle.dumps(Payload(canary)))


def endless(file, canary):
    file.unlink()
    os.mkfifo(file)


def nested(file, canary):
    header = b'{"__metadata__":{"format":"1","sha256":"","rest":"' + 100_000 * b"[" + b'"}}'
    file.write_bytes(len(header).to_bytes(8, "little") + header)


@pytest.mark.parametrize("newest", ["resume-0000001", "resume-0000002"])
@pytest.mark.parametrize("change", [pickled, endless, nested], ids=lambda change: change.__name__)
def test_a_hostile_checkpoint_runs_nothing_and_the_run_ends_as_it_should(change, newest, left, cli, canary):
    file = left / "checkpoints" / f"{newest}.ckpt"
    file.touch()
    change(file, canary)
    code, _, err = cli("train", "--resume", left)
    assert code == 0, err
    assert Run.open(left).state == "finished"


def contents(path):
    return path.read_bytes() if path.is_file() else sorted(file.name for file in path.iterdir())


@pytest.mark.parametrize("name", ["metrics.csv", "run.log", "summary.json", "checkpoints", "maps", "wandb"])
def test_nothing_is_written_where_a_link_leads(name, left, refused, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    if (left / name).exists():
        shutil.move(left / name, elsewhere)
    else:
        elsewhere.mkdir()
    (left / name).symlink_to(elsewhere)
    before = contents(elsewhere)
    assert name in refused("train", "--resume", left)
    assert contents(elsewhere) == before
