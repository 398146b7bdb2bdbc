"""``attncompare upload``: runs shown in W&B from their records alone."""

import hashlib
import json
import shutil

import pytest
from commands import SMOKE, composed_config, inspect
from wandb_server import log_in, wandb_server

from attncompare.wandb_logging import wandb_view
from attncompare.record import RunLock
from attncompare.record import seal
from attncompare.training.run import train

RUN = (*SMOKE, "tags=[tests]")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A finished run and a stopped one."""
    home = tmp_path_factory.mktemp("uploaded")
    train(composed_config(home, RUN))
    train(composed_config(home, RUN), stop_after=1)
    return home


@pytest.fixture
def home(recorded, tmp_path):
    """A copy of both, to be spoiled."""
    return shutil.copytree(recorded, tmp_path / "runs")


@pytest.fixture
def runs(home):
    from attncompare.record import find_runs

    return {run.state: run for run in find_runs([home])}


@pytest.fixture
def no_login(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)


def change(run, **facts):
    file = run.path / "summary.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))
    if run.state == "finished":
        seal(run.path)


def digests(folder):
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_folder_of_runs_is_sent_once_however_often(cli, runs, home, monkeypatch):
    before = digests(home)
    with wandb_server(monkeypatch) as server:
        code, out, err = cli("upload", home)
        assert code == 0, err
        served = {state: server.runs[run.summary["wandb"]["id"]] for state, run in runs.items()}
        for state, run in runs.items():
            assert f"{run.path}: http://127.0.0.1" in out
            assert served[state].summary["state"] == state
            assert served[state].told["displayName"] == run.path.name
            assert served[state].told["tags"] == ["scaled", "reverse", "tests"]
        assert [row.get("step") for row in served["finished"].rows] == [1, 2, 2, 2, None, None, None]
        assert [row["step"] for row in served["interrupted"].rows] == [1]
        summary = served["finished"].summary
        assert summary["weights_sha256"] == runs["finished"].summary["weights_sha256"]
        assert summary["data_fingerprint"] == runs["finished"].summary["data"]["fingerprint"]
        assert summary["test/loss"] == runs["finished"].summary["test"]["loss"]
        assert summary["threads"] == 1
        assert (served["finished"].exit_codes, served["interrupted"].exit_codes) == ([0], [1])
        media = {name: data for name, data in served["finished"].files.items() if name.startswith("media/")}
        assert len(media) == 3 + 3
        (page,) = [data for name, data in media.items() if name.endswith(".html")]
        assert page == (runs["finished"].path / "maps" / "index.html").read_bytes()
        histories = {state: list(run.history) for state, run in served.items()}

        for name in media:  # as if they had been lost on the way
            del served["finished"].files[name]
        assert cli("upload", home)[0] == 0
        assert {state: run.history for state, run in served.items()} == histories
        assert {name: served["finished"].files[name] for name in media} == media
    assert digests(home) == before


def test_the_offline_folder_is_built_anew(cli, runs, no_login):
    run = runs["finished"]
    live = inspect(run)
    shutil.rmtree(run.path / "wandb")
    code, out, err = cli("upload", "--offline", run.path)
    assert (code, out.strip(), err) == (0, f"{run.path}: {run.path / 'wandb'}", "")
    again = inspect(run)
    assert len(again["history"]) == len(live["history"])
    (start,) = again["run"]
    assert start["run_id"] == run.summary["wandb"]["id"]
    config = {key: value for key, value in start["config"]["update"].items() if key != "_wandb"}
    assert config == run.config.to_dict()


def test_without_a_login_it_is_refused(cli, runs, no_login):
    code, out, err = cli("upload", runs["finished"].path)
    assert (code, out) == (2, "")
    assert "upload: no W&B login found; run `wandb login`" in err and "upload --offline" in err


def test_a_login_that_cannot_be_one_is_refused(cli, runs, no_login, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "too short")
    code, _, err = cli("upload", runs["finished"].path)
    assert code == 2
    assert err.startswith("error: upload: the W&B login cannot be used (") and len(err.splitlines()) == 1


def test_where_wandb_is_not_reached_it_fails(cli, runs, monkeypatch):
    log_in(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setattr(wandb_view, "_INIT_SECONDS", 1.0)
    code, _, err = cli("upload", runs["finished"].path)
    assert code == 1
    (error,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert error.startswith(
        f"error: {runs['finished'].path}: not uploaded; W&B shows nothing of this run (W&B could not"
    )
    assert "connection refused" in error


def test_a_run_that_was_killed_is_shown_as_interrupted(cli, runs):
    run = runs["interrupted"]
    change(run, state="running")
    assert cli("upload", "--offline", run.path)[0] == 0
    shown = inspect(run)
    summary = {key: value for part in shown["summary"] for key, value in part["update"].items()}
    assert summary["state"] == "interrupted"
    assert [row["item"]["step"] for row in shown["history"]] == [1]


def test_a_run_that_is_being_trained_is_refused(cli, runs):
    run = runs["interrupted"]
    lock = RunLock(run.path)
    try:
        code, _, err = cli("upload", "--offline", run.path)
    finally:
        lock.release()
    assert code == 2
    assert "the run is being trained right now" in err


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"wandb": None}, "wandb.id=None is no name of a W&B run"),
        (
            {"wandb": {"id": "../../../../tmp/x", "missing": None}},
            "wandb.id='../../../../tmp/x' is no name of a W&B run",
        ),
        ({"wandb": "abcdefgh"}, "wandb.id=None is no name of a W&B run"),
        ({"test": "good"}, "damaged"),
        ({"cost": None}, "damaged"),
        ({"data": []}, "damaged"),
    ],
    ids=str,
)
def test_a_record_that_cannot_be_shown_is_refused(cli, runs, facts, words):
    run = runs["finished"]
    change(run, **facts)
    code, _, err = cli("upload", "--offline", run.path)
    assert code == 2
    assert len(err.splitlines()) == 1 and words in err
    assert list(run.path.glob("wandb/offline-run-*")), "what was there is still there"


def test_a_changed_record_is_refused(cli, runs):
    file = runs["finished"].path / "metrics.csv"
    file.write_text(file.read_text().replace("2,0", "3,0", 1))
    code, _, err = cli("upload", "--offline", runs["finished"].path)
    assert code == 2
    assert "metrics.csv: not what the finished run wrote" in err


def test_a_page_that_a_stranger_put_into_the_record_is_not_sent(cli, runs):
    run = runs["finished"]
    (run.path / "maps" / "index.html").write_text("<script>alert(1)</script>")
    seal(run.path)
    assert cli("upload", "--offline", run.path)[0] == 0
    (page,) = run.path.glob("wandb/offline-run-*/files/media/html/*.html")
    assert "alert(1)" not in page.read_text()
    assert 'id="' in page.read_text()
