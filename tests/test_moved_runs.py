"""Runs with W&B's own files that were moved, or come from a stranger who put links among them."""

import os
import shutil

import pytest
from commands import SMOKE, composed_config, inspect
from outcomes import assert_same

from attncompare.errors import Refused
from attncompare.reproduce.sources import find
from attncompare.record import Run
from attncompare.training.run import resume, train
from attncompare.wandb_logging.upload import upload

RUN = (*SMOKE, "trainer.max_steps=6", "trainer.validate_every=2", "tracking.probes=1", "tracking.images=1")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that stopped after four of its six steps, as W&B recorded it offline."""
    return train(composed_config(tmp_path_factory.mktemp("stopped") / "runs", RUN), stop_after=4)


@pytest.fixture
def moved(stopped, tmp_path):
    """That run in another place, with links to where it was, as some versions of W&B make them."""
    folder = shutil.copytree(stopped.path, tmp_path / "elsewhere" / "run", symlinks=True)
    links = [path for path in (folder / "wandb").iterdir() if path.is_symlink()]
    assert links, "W&B links to its newest run and its logs"
    for link in links:
        there = stopped.path / "wandb" / link.readlink()
        link.unlink()
        link.symlink_to(there.absolute())
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return train(composed_config(tmp_path_factory.mktemp("undisturbed") / "runs", RUN))


def contents(folder):
    return {str(path): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_a_moved_run_goes_on_and_serves_as_if_it_had_stayed(cli, moved, stopped, undisturbed):
    before = contents(stopped.path)
    run = resume(moved)
    assert_same(run, undisturbed)
    assert run.summary["wandb"]["missing"] is None
    assert [row["item"]["step"] for row in inspect(run)["history"] if "train/loss" in row["item"]] == [1, 2, 3, 4, 5, 6]
    code, out, _ = cli("reproduce", moved)
    assert (code, out.split(" (")[0]) == (0, "verdict: identical")
    code, out, _ = cli("attend", moved, "abc")
    assert code == 0 and (moved / "maps" / "attend.html").exists()
    (offline,) = moved.glob("wandb/offline-run-*")
    assert find(str(offline), False).runs[0].final["weights_sha256"] == run.summary["weights_sha256"]
    assert contents(stopped.path) == before, "nothing is written where its links lead"


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    (folder / "precious").write_text("precious")
    (folder / "deep" / "too.wandb").write_text("precious")
    return folder


def with_links(run, outside):
    """Let everything that W&B keeps in ``run`` lead to ``outside``."""
    own = run / "wandb"
    for name in ("latest-run", "artifacts", "debug.log", "debug-internal.log"):
        if (own / name).is_dir() and not (own / name).is_symlink():
            shutil.rmtree(own / name)
        (own / name).unlink(missing_ok=True)
        (own / name).symlink_to(outside / "precious" if name.endswith(".log") else outside)
    (folder,) = (path for path in own.glob("offline-run-*") if not path.is_symlink())
    shutil.rmtree(folder / "files")
    (folder / "files").symlink_to(outside / "deep")
    (folder / "more").symlink_to("/")
    return folder


@pytest.mark.parametrize("how", ["resume", "upload"])
def test_links_among_the_files_of_wandb_lead_nobody_out(moved, outside, how):
    with_links(moved, outside)
    before = contents(outside)
    if how == "resume":
        assert resume(moved).summary["wandb"]["missing"] is None
    else:
        upload([moved], offline=True)
    assert contents(outside) == before
    left = [path for path in (moved / "wandb").rglob("*") if path.is_symlink()]
    assert all(path.resolve().is_relative_to(moved.resolve()) for path in left), "W&B's folder was made anew"
    assert inspect(Run.open(moved))["history"]


def test_a_folder_of_wandb_that_is_a_link_itself_is_refused(moved, outside):
    before = contents(outside)
    shutil.rmtree(moved / "wandb")
    (moved / "wandb").symlink_to(outside)
    with pytest.raises(Refused, match="wandb: a symbolic link that leads out of its folder"):
        resume(moved)
    assert contents(outside) == before


def test_what_lies_outside_of_an_offline_folder_is_not_read(moved, outside):
    folder = with_links(moved, outside)
    (outside / "deep" / "requirements.txt").write_text("secret==1")
    (facts,) = find(str(folder), True).runs
    assert "packages" not in facts.environment
    (file,) = folder.glob("*.wandb")
    shutil.move(file, outside / "real.wandb")
    for make in (lambda: file.symlink_to(outside / "real.wandb"), lambda: os.mkfifo(file)):
        make()
        with pytest.raises(Refused, match=r"\.wandb: no plain file"):
            find(str(folder), True)
        file.unlink()
