"""The comparison in W&B: its run read back, and runs whose records are gone compared from what W&B kept."""

import json
import shutil

import pytest
import wandb
from commands import SMOKE, composed_config, inspect
from wandb_server import wandb_server

from attncompare.wandb_logging import wandb_comparison
from attncompare.record import Run
from attncompare.training.run import train


class Folder:
    """Where a comparison was shown, as ``inspect`` wants it."""

    def __init__(self, path):
        self.path = path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A sweep of two real runs, with W&B's offline files."""
    home = tmp_path_factory.mktemp("sweep")
    for attention in ("dot", "scaled"):
        overrides = [*SMOKE, f"attention={attention}", "tracking.images=0"]
        train(composed_config(home / "runs", overrides), overrides, parent=home / "runs" / "sweep", group="day-sweep")
    return home / "runs" / "sweep"


@pytest.fixture
def sweep(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "sweep", symlinks=True)


def tables(folder, records):
    (item,) = [row["item"] for row in records["history"]]
    (files,) = folder.glob("wandb/offline-run-*/files")
    read = {}
    for name in ("results", "verdicts"):
        read[name] = json.loads((files / item[f"{name}.path"]).read_text())
    return read, (files / item["report.path"]).read_text()


def test_the_comparison_is_a_run_of_the_group(cli, sweep):
    code, out, err = cli("compare", sweep, "--wandb")
    assert (code, err) == (0, "") and "W&B: kept for later; send it with: wandb sync " in out
    records = inspect(Folder(sweep))
    (start,) = records["run"]
    assert (start["run_group"], start["job_type"], start["project"]) == ("day-sweep", "comparison", "attncompare")
    assert start["display_name"] == "comparison day-sweep" and "dot" in start["notes"]
    config = start["config"]["update"]
    runs = [Run.open(path.parent) for path in sweep.glob("*/summary.json")]
    assert sorted(config["runs"]) == sorted(run.summary["wandb"]["id"] for run in runs)
    summary = {key: value for part in records["summary"] for key, value in part["update"].items()}
    assert (summary["runs"], summary["variants"]) == (2, 2)
    shown, page = tables(sweep, records)
    assert page == (sweep / "report.html").read_text()
    rows = [dict(zip(shown["results"]["columns"], row, strict=True)) for row in shown["results"]["data"]]
    losses = {row["variant"]: row["mean"] for row in rows if row["metric"] == "loss"}
    assert losses == {run.config.attention.name: run.summary["test"]["loss"] for run in runs}
    verdicts = [dict(zip(shown["verdicts"]["columns"], row, strict=True)) for row in shown["verdicts"]["data"]]
    assert verdicts and all(row["better"] == "not decided" and row["verdict"] for row in verdicts)


def test_showing_it_again_changes_the_one_run(cli, sweep):
    ids = set()
    for _ in range(2):
        assert cli("compare", sweep, "--wandb")[0] == 0
        (folder,) = sweep.glob("wandb/offline-run-*")
        ids.add(folder.name.partition("-comparison-")[2])
    assert len(ids) == 1
    mine = sweep / "wandb" / "offline-run-20260101_000000-somebody"
    mine.mkdir()
    assert cli("compare", sweep, "--wandb")[0] == 0
    assert mine.is_dir()


def test_runs_that_were_tracked_online_are_compared_online(cli, sweep, monkeypatch):
    monkeypatch.setattr("attncompare.compare.in_wandb.tracked_online", lambda _: True)
    with wandb_server(monkeypatch) as server:
        code, out, err = cli("compare", sweep, "--wandb")
        assert code == 0 and "W&B: http" in out and "not in W&B" not in err
    (run_id,) = server.runs
    shown = server.runs[run_id]
    assert run_id.startswith("comparison-") and shown.told["groupName"] == "day-sweep"
    assert shown.exit_codes == [0] and {"report", "results", "verdicts"} <= shown.history[0].keys()


def test_where_wandb_fails_the_comparison_is_whole(cli, sweep, monkeypatch):
    def broken(*_, **__):
        raise wandb.Error("the disk of W&B is full")

    monkeypatch.setattr(wandb_comparison.wandb, "init", broken)
    code, out, err = cli("compare", sweep, "--wandb")
    assert code == 0 and "Page: " in out and (sweep / "report.html").is_file()
    assert err == "W&B: the comparison is not in W&B: the disk of W&B is full; the table and the page are whole\n"


def test_runs_whose_records_are_gone_are_compared_from_what_wandb_kept(cli, sweep, tmp_path):
    code, whole, _ = cli("compare", sweep, "--wandb", "--html", tmp_path / "whole.html")
    kept = tmp_path / "kept"
    for number, folder in enumerate(sorted(sweep.glob("*/wandb/offline-run-*"))):
        shutil.copytree(folder, kept / str(number) / "wandb" / folder.name)
    (comparison,) = tmp_path.glob("wandb/offline-run-*")
    shutil.copytree(comparison, kept / "wandb" / comparison.name)
    for given in ([kept], sorted(kept.glob("*/wandb/offline-run-*")), sorted(kept.glob("*/wandb/*/*.wandb"))):
        code, out, err = cli("compare", *given, "--html", tmp_path / "kept.html")
        assert (code, err) == (0, "")
        assert "2 runs were read from W&B's offline files, which hold no maps, predictions" in out
        assert "left out" not in out  # nor is the run of the comparison taken for one
        rows = [line for line in whole.splitlines() if line.startswith(("dot ", "scaled "))]
        assert len(rows) == 2 and set(rows) <= set(out.splitlines())
    assert (tmp_path / "kept.html").is_file()


def test_one_that_cannot_be_read_is_left_out_of_a_folder_and_refused_by_name(cli, sweep, tmp_path):
    folders = sorted(sweep.glob("*/wandb/offline-run-*"))
    for number, folder in enumerate(folders):
        shutil.copytree(folder, tmp_path / "kept" / str(number) / folder.name)
    torn = next((tmp_path / "kept" / "0").glob("*/*.wandb"))
    torn.write_bytes(torn.read_bytes()[:1] + b"no run")
    code, out, _ = cli("compare", tmp_path / "kept")
    assert code == 0 and "1 run was left out" in out and "not readable as an offline run of W&B" in out
    code, _, err = cli("compare", torn.parent)
    assert code == 2 and "not readable as an offline run of W&B" in err
