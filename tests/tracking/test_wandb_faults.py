"""W&B that cannot start, dies, hangs, loses the network or its disk: training goes on, and says what is missing."""

import contextlib
import io
import logging
import os
import re
import resource
import signal
from pathlib import Path

import pytest
import wandb
from commands import SMOKE, composed_config, inspect
from wandb_server import log_in, plain, wandb_server

from attncompare.wandb_logging import wandb_calls, wandb_view
from attncompare.wandb_logging.wandb_view import WandbView
from attncompare.training.run import train
from attncompare.wandb_logging.upload import upload

RUN = (*SMOKE, "trainer.max_steps=6", "trainer.log_every=1", "trainer.validate_every=3")
ID = "abcdefgh12345678"


def services():
    """Return the ids of W&B's processes below this one that are not dead."""
    children = " ".join(file.read_text() for file in Path("/proc/self/task").glob("*/children")).split()
    living = []
    for child in children:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended in between
            name, state = Path(f"/proc/{child}/stat").read_text().split()[1:3]
            living += [int(child)] * (name == "(wandb-core)" and state != "Z")
    return living


def signal_service(number):
    (service,) = services()
    os.kill(service, number)
    return service


def wandb_variables():
    return {name: value for name, value in os.environ.items() if name.startswith("WANDB")}


@pytest.fixture
def short(monkeypatch):
    """Little patience."""
    for module, name in (
        *((wandb_view, "_CALL_SECONDS"), (wandb_view, "_STOPPED_SECONDS")),
        *((wandb_view, "_INIT_SECONDS"), (wandb_calls, "_TEARDOWN_SECONDS")),
    ):
        monkeypatch.setattr(module, name, 2.0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return train(composed_config(tmp_path_factory.mktemp("undisturbed"), [*RUN, "tracking=disabled"]))


def killing_at(step):
    def on_progress(progress):
        if progress.phase == "training" and progress.step == step:
            signal_service(signal.SIGKILL)

    return on_progress


def warnings_of(run):
    lines = (run.path / "run.log").read_text().splitlines()
    return [line for line in lines if " WARNING " in line and "W&B" in line]


def test_its_process_is_killed_in_the_middle(make_config, undisturbed, monkeypatch):
    monkeypatch.setenv("WANDB_DATA_DIR", "/what/was/there/before")
    before = wandb_variables()
    run = train(make_config(*RUN), on_progress=killing_at(4))
    assert run.state == "finished"
    assert run.summary["weights_sha256"] == undisturbed.summary["weights_sha256"]
    assert [row["step"] for row in run.metrics()] == [row["step"] for row in undisturbed.metrics()]
    missing = run.summary["wandb"]["missing"]
    problem = "W&B stopped taking what was logged: ConnectionResetError"
    assert missing.startswith("W&B shows this run up to step ") and problem in missing
    assert run.wandb_note() == f"{missing}; its record is whole; send it with: attncompare upload {run.path}"
    (warning,) = warnings_of(run)
    assert problem in warning
    assert wandb_variables() == before
    assert services() == []

    upload([run.path], offline=True)
    shown = [row["item"] for row in inspect(run)["history"]]
    assert [row["step"] for row in shown if "train/loss" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in shown if "maps/cross/probe0._type" in row] == [3, 6]
    assert inspect(run)["exit"][0].get("exit_code", 0) == 0


def test_the_next_run_has_a_process_of_its_own(tmp_path, make_config):
    dead = WandbView.start(tmp_path, make_config(*RUN), None, run_id=ID)
    signal_service(signal.SIGKILL)
    dead.finish("finished", {})
    assert dead.problem
    run = train(make_config(*SMOKE))
    assert run.summary["wandb"]["missing"] is None
    assert inspect(run)["history"]


@pytest.fixture
def view(tmp_path, make_config):
    """A view of no run in particular, offline."""
    view = WandbView.start(tmp_path, make_config(*SMOKE), "a sweep", run_id=ID)
    yield view
    for service in services():
        os.kill(service, signal.SIGKILL)
    view.finish("failed", {})


def test_a_process_that_hangs_costs_no_more_than_the_limit(view, short):
    view.log(1, {"train/loss": 2.0})
    service = signal_service(signal.SIGSTOP)
    view.finish("finished", {})
    assert view.problem == "W&B could not finish: no answer within 2 s"
    assert view.missing() == f"W&B shows this run up to step 1 at most, without its final figures ({view.problem})"
    os.kill(service, signal.SIGKILL)


def test_a_stopped_run_does_not_wait_long(view, short, monkeypatch):
    monkeypatch.setattr(wandb_view, "_CALL_SECONDS", 4.0)
    service = signal_service(signal.SIGSTOP)
    view.finish("interrupted", {})
    assert view.problem == "W&B could not finish: no answer within 2 s"
    os.kill(service, signal.SIGKILL)


def test_what_wandb_could_not_write_is_noticed_at_the_end(view):
    """As with a full disk, which W&B itself passes over in silence."""
    (service,) = services()
    view.log(1, {"train/loss": 2.0})
    file = Path(view._run.settings.sync_file)
    soft = file.stat().st_size + 10_000
    resource.prlimit(service, resource.RLIMIT_FSIZE, (soft, soft))
    for step in range(2, 400):
        view.log(step, {"train/loss": 1 / step})
    view.finish("finished", {})
    assert re.match(r"W&B could not finish: OSError: only \d+ of 399 rows are in /", view.problem)
    assert view.missing()


def test_a_log_of_its_own_that_finds_the_disk_full_says_nothing(make_config, undisturbed, monkeypatch, capfd):
    opened = logging.FileHandler._open

    def full(handler):
        return opened(handler) if handler.baseFilename.endswith("run.log") else Path("/dev/full").open("w")

    loggers = [logger for name, logger in logging.root.manager.loggerDict.items() if name.split(".")[0] == "wandb"]
    with monkeypatch.context() as patched:
        patched.setattr(logging.FileHandler, "_open", full)
        for logger in loggers:  # where Hydra was started before in this process, it has disabled them
            patched.setattr(logger, "disabled", False, raising=False)
        run = train(make_config(*RUN))
    assert capfd.readouterr().err == ""
    assert run.summary["weights_sha256"] == undisturbed.summary["weights_sha256"]
    assert "No space left on device" in run.summary["wandb"]["missing"] and len(warnings_of(run)) == 1
    with Path("/dev/full").open("wb", buffering=0) as disk:
        handler = logging.StreamHandler(io.TextIOWrapper(disk, write_through=True))
        logging.getLogger("another").addHandler(handler)
        logging.getLogger("another").warning("a line")
        logging.getLogger("another").removeHandler(handler)
    assert "Logging error" in capfd.readouterr().err, "all other loggers complain as ever"


def test_a_row_that_is_lost_is_counted(view, monkeypatch):
    monkeypatch.setattr(wandb_view, "kept_rows", lambda file: wandb_calls.kept_rows(file) - 1)
    for step in (1, 2, 3):
        view.log(step, {"train/loss": 2.0})
    view.finish("finished", {})
    assert "only 2 of 3 rows are in" in view.problem


def test_no_more_than_the_first_problem_is_told(view, caplog):
    view.images(5, {"maps/cross/probe0": b"this is no picture"})
    problem = view.problem
    assert "UnidentifiedImageError" in problem and "\n" not in problem
    view.images(6, {"maps/cross/probe0": b"neither"})
    view.log(7, {"train/loss": 2.0})
    view.finish("finished", {"message": None})
    assert view.problem == problem
    assert view.missing() == f"W&B shows nothing of this run ({problem})"
    assert [record.levelname for record in caplog.records if record.name == "attncompare"] == ["WARNING"]
    assert services() == []


def test_a_keyboard_interrupt_passes_through(view, monkeypatch):
    def log(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(type(view._run), "log", log)
        with pytest.raises(KeyboardInterrupt):
            view.log(1, {"train/loss": 2.0})
    assert view.problem is None


def test_a_keyboard_interrupt_while_it_starts_leaves_nothing(tmp_path, make_config, monkeypatch):
    def init(**options):
        raise KeyboardInterrupt

    before = wandb_variables()
    monkeypatch.setattr(wandb, "init", init)
    with pytest.raises(KeyboardInterrupt):
        WandbView.start(tmp_path, make_config(*SMOKE), None, run_id=ID)
    assert wandb_variables() == before


def test_it_cannot_start_without_a_network(make_config, undisturbed, short, monkeypatch):
    log_in(monkeypatch, "http://127.0.0.1:9")
    run = train(make_config(*RUN, "tracking=online"))
    assert run.state == "finished"
    assert run.summary["weights_sha256"] == undisturbed.summary["weights_sha256"]
    assert run.summary["wandb"]["missing"].startswith("W&B shows nothing of this run (W&B could not start: ")
    assert "connection refused" in run.summary["wandb"]["missing"]
    assert services() == []


def test_it_cannot_start_where_it_may_not_write(tmp_path, make_config):
    (tmp_path / "wandb").write_text("a file where the folder would be")
    view = WandbView.start(tmp_path, make_config(*SMOKE), None, run_id=ID)
    view.log(1, {"train/loss": 2.0})
    view.finish("finished", {})
    assert view.problem.startswith("W&B could not start: NotADirectoryError")
    assert services() == []


def test_the_network_is_lost_in_the_middle_and_what_is_missing_is_uploaded_later(finished_run, monkeypatch, tmp_path):
    run_id = finished_run.summary["wandb"]["id"]
    rows = [{key: value for key, value in row.items() if key != "epoch"} for row in finished_run.metrics()]
    values = [{key: value for key, value in row.items() if key != "step"} for row in rows]
    online = {"run_id": run_id, "mode": "online"}
    with wandb_server(monkeypatch) as server:
        stopped = WandbView.start(tmp_path, finished_run.config, None, **online)
        stopped.log(rows[0]["step"], values[0])
        stopped.finish("failed", {})
        assert stopped.problem is None
        served = server.runs[run_id]
        assert served.rows == rows[:1]

        resumed = WandbView.start(tmp_path, finished_run.config, None, **online, patience=1.0)
        assert resumed.url.endswith(f"/runs/{run_id}")
        server.down = True
        for row, shown in zip(rows, values, strict=True):
            resumed.log(row["step"], shown)
        resumed.finish("finished", {})
        assert resumed.problem == "W&B could not finish: Timed out finishing run."
        assert resumed.missing().startswith(f"W&B shows this run up to step {rows[-1]['step']} at most")
        assert served.rows == rows[:1]

        server.down = False
        upload([finished_run.path])
        assert [row for row in served.rows if "train/loss" in row or "val/loss" in row] == rows
        assert len(served.rows) == len(rows) + 4  # and the pictures, the predictions, the page, the heads
        assert served.summary["state"] == "finished"
        assert served.exit_codes[0] == 1 and served.exit_codes[-1] == 0


def test_rows_are_compared_by_what_was_logged():
    assert plain({"_step": 1, "a": {"_type": "x", "_latest_artifact_path": "y"}, "b": 2}) == {
        "a": {"_type": "x"},
        "b": 2,
    }
