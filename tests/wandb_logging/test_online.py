"""Logging to W&B's server, against a stand-in on this machine."""

import shutil

import pytest
from commands import SMOKE
from wandb_server import log_in, wandb_server

from attncompare.errors import RunFailed
from attncompare.record import Run
from attncompare.wandb_logging import log_run, make_wandb_logger
from attncompare.wandb_logging.comparison import show_comparison

ID = "abcdefgh12345678"


def curves(served):
    return [row for row in served.rows if "train/loss" in row or "val/loss" in row]


def rows_of(run):
    return [{key: value for key, value in row.items() if key != "epoch"} for row in run.metrics()]


@pytest.fixture
def record(finished_run, tmp_path):
    """A copy, as W&B writes into the record's folder."""
    return Run.open(shutil.copytree(finished_run.path, tmp_path / "record", symlinks=True))


def test_a_run_that_is_resumed_or_logged_again_replaces_what_the_server_has(record, make_config, monkeypatch, tmp_path):
    """It was stopped after its first row; the server then has each row once."""
    run_id = record.summary["wandb"]["id"]
    rows = rows_of(record)
    with wandb_server(monkeypatch) as server:
        config = make_config(*SMOKE, "tracking=online")
        first = make_wandb_logger(config, tmp_path / "run", run_id, "a sweep")
        assert first.problem is None and first.url.endswith(f"/runs/{run_id}")
        first.log_metrics({name: value for name, value in rows[0].items() if name != "step"}, rows[0]["step"])
        first.finish("interrupted", {})
        served = server.runs[run_id]
        assert served.rows == rows[:1] and served.told["groupName"] == "a sweep"

        resumed = make_wandb_logger(config, tmp_path / "run", run_id, "a sweep")
        resumed.log_record(record)
        resumed.finish("finished", {"test/loss": 1.0})
        assert curves(served) == rows and served.summary["test/loss"] == 1.0
        assert served.exit_codes == [1, 0]


def test_without_a_network_the_end_is_not_waited_for_and_the_record_can_be_logged_later(
    record, make_config, monkeypatch, tmp_path
):
    with wandb_server(monkeypatch) as server:
        logger = make_wandb_logger(make_config(*SMOKE, "tracking=online"), tmp_path / "run", ID, None, patience=1.0)
        server.down = True
        logger.log_metrics({"train/loss": 1.0}, 1)
        logger.finish("finished", {})
        assert logger.problem.startswith("W&B could not finish: ")

        server.down = False
        url = log_run(record.path, "online")
        served = server.runs[record.summary["wandb"]["id"]]
        assert url.endswith(record.summary["wandb"]["id"])
        assert curves(served) == rows_of(record) and served.summary["state"] == "finished"
        assert any(name.startswith("media/html") for name in served.files)


def test_what_the_server_does_not_take_is_an_error_of_log_run(record, monkeypatch):
    log_in(monkeypatch, "http://127.0.0.1:9")  # a port where nothing listens
    monkeypatch.setattr("attncompare.wandb_logging.logger.START_SECONDS", 6.0)
    with pytest.raises(RunFailed, match="not logged in W&B"):
        log_run(record.path, "online")


def test_a_comparison_is_shown_once_however_often_it_is_logged(monkeypatch, tmp_path):
    page = tmp_path / "report.html"
    page.write_text("<p>page")
    settings = {"id": "comparison-0123", "project": "p", "group": "g", "name": "it", "config": {"runs": ["a"]}}
    with wandb_server(monkeypatch) as server:
        for _ in range(2):
            assert show_comparison(page, {"decided": 1}, online=True, **settings).endswith("comparison-0123")
        served = server.runs["comparison-0123"]
    assert len(served.rows) == 1 and served.summary["decided"] == 1
    assert "wandb sync" in show_comparison(page, {"decided": 1}, online=False, **settings)
    assert len(list(tmp_path.glob("wandb/*run-*"))) == 1
