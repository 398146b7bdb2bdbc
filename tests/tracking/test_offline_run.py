"""Runs whose record is gone, read from what W&B kept offline."""

import shutil

import pytest

from attncompare.errors import Refused
from attncompare.wandb_logging.offline_run import ABSENT, OfflineRun, absent_notes, offline_files

KEPT = ("state", "task", "label", "group", "val", "test", "signatures", "cost", "best_step", "steps", "weights_sha256")


@pytest.fixture(scope="module")
def folder(finished_run):
    (folder,) = finished_run.path.glob("wandb/offline-run-*")
    return folder


@pytest.fixture(scope="module")
def kept(folder):
    return OfflineRun.open(folder)


def test_it_holds_the_figures_of_the_record(kept, finished_run):
    assert {key: kept.summary[key] for key in KEPT} == {key: finished_run.summary[key] for key in KEPT}
    assert kept.summary["data"]["fingerprint"] == finished_run.summary["data"]["fingerprint"]
    assert kept.summary["wandb"]["id"] == finished_run.summary["wandb"]["id"]
    assert kept.config == finished_run.config
    assert kept.require_finished() is kept and not kept.alive()


def test_it_holds_the_curves_of_the_record(kept, finished_run):
    rows = [{key: value for key, value in row.items() if key != "epoch"} for row in finished_run.metrics()]
    assert kept.metrics() == rows and rows


def test_what_it_does_not_hold_is_absent_and_said(kept, finished_run):
    assert kept.predictions() == kept.maps() == kept.losses() == kept.map_files() == []
    assert absent_notes([kept, finished_run]) == [f"a run was read from W&B's offline files, which hold no {ABSENT}"]
    assert absent_notes([finished_run]) == []
    with pytest.raises(Refused, match=r"offline run of W&B holds no config\.yaml"):
        kept.read("config.yaml")


def test_offline_folders_are_found_where_no_record_is_left(folder, finished_run, tmp_path):
    assert offline_files(finished_run.path) == offline_files(finished_run.path.parent) == []
    assert offline_files(folder) == [folder]
    sweep = tmp_path / "sweep"
    for number in (1, 2):
        shutil.copytree(folder, sweep / f"run{number}" / "wandb" / folder.name)
    assert offline_files(sweep) == sorted(sweep.glob("*/wandb/*")) and len(offline_files(sweep)) == 2
    (file,) = folder.glob("*.wandb")
    assert offline_files(file) == [file]
    assert offline_files(tmp_path / "nothing") == offline_files(finished_run.path / "config.yaml") == []


def test_a_run_that_has_not_ended_and_a_torn_file_are_refused(folder, tmp_path, kept):
    unfinished = OfflineRun(kept.path, {**kept.summary, "state": "running"}, kept.kept)
    with pytest.raises(Refused, match="the run has not ended, as far as W&B knows"):
        unfinished.require_finished()
    without = OfflineRun(kept.path, {**kept.summary, "test": {}}, kept.kept)
    with pytest.raises(Refused, match="W&B kept no test figures"):
        without.require_finished()
    (file,) = folder.glob("*.wandb")
    (tmp_path / "torn.wandb").write_bytes(file.read_bytes()[:1] + b"no run")
    with pytest.raises(Refused, match=r"torn\.wandb: not readable as an offline run of W&B"):
        OfflineRun.open(tmp_path / "torn.wandb")
