"""W&B that dies, hangs or cannot start: the logger says so once, is silent from then on, and leaves nothing behind."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from commands import SMOKE

from attncompare.wandb_logging import logger as wandb_logger
from attncompare.wandb_logging import make_wandb_logger

ID = "abcdefgh12345678"


def services():
    """The ids of W&B's processes below this one that are not dead."""
    children = " ".join(file.read_text() for file in Path("/proc/self/task").glob("*/children")).split()
    living = []
    for child in children:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended in between
            name, state = Path(f"/proc/{child}/stat").read_text().split()[1:3]
            living += [int(child)] * (name == "(wandb-core)" and state != "Z")
    return living


def variables():
    return {name: value for name, value in os.environ.items() if name.startswith(("WANDB", "TMP"))}


@pytest.fixture
def impatient(monkeypatch):
    for name in ("CALL_SECONDS", "STOPPED_SECONDS"):
        monkeypatch.setattr(wandb_logger, name, 2.0)


@pytest.fixture
def logger(tmp_path, make_config, monkeypatch):
    """A logger of no run in particular, offline, its temporary files beside the run."""
    (tmp_path / "system").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "system"))
    monkeypatch.setenv("WANDB_DATA_DIR", "/as/before")
    (tmp_path / "run").mkdir()
    before = variables()
    logger = make_wandb_logger(make_config(*SMOKE), tmp_path / "run", ID, "a sweep")
    yield logger
    for service in services():
        os.kill(service, signal.SIGKILL)
    logger.finish("failed", {})
    assert variables() == before
    assert list((tmp_path / "system").iterdir()) == []
    assert not (tmp_path / "run" / "wandb" / "tmp").exists()


def wait_for_the_end_of(service):
    while service in services():
        time.sleep(0.05)


def test_a_process_that_dies_is_said_once_and_the_rest_is_silent(logger, caplog):
    (service,) = services()
    os.kill(service, signal.SIGKILL)
    wait_for_the_end_of(service)
    for step in range(50):
        logger.log_metrics({"train/loss": 1.0}, step)
    logger.log_image("maps/cross/probe0", [], 50)
    logger.log_results([{"source": "a"}], [], "<p>")
    logger.experiment.log({})  # a callback of a user
    logger.finish("finished", {})
    assert "ConnectionReset" in logger.problem and "\n" not in logger.problem
    assert [record.message for record in caplog.records if record.name == "attncompare"] == [
        f"{logger.problem}; the record is complete without it"
    ]


def test_the_next_run_has_a_process_of_its_own(logger, tmp_path, make_config):
    os.kill(services()[0], signal.SIGKILL)
    logger.finish("finished", {})
    assert logger.problem
    following = make_wandb_logger(make_config(*SMOKE), tmp_path / "run", "another-run", None)
    following.log_metrics({"train/loss": 1.0}, 1)
    following.finish("finished", {})
    assert following.problem is None and services() == []


@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_a_process_that_hangs_costs_no_more_than_the_limit(logger, impatient, monkeypatch, state):
    if state == "interrupted":  # whoever stopped the run does not wait as long
        monkeypatch.setattr(wandb_logger, "CALL_SECONDS", 1000.0)
    logger.log_metrics({"train/loss": 2.0}, 1)
    os.kill(services()[0], signal.SIGSTOP)
    logger.finish(state, {})
    assert logger.problem.startswith("W&B could not finish: ") and "no answer within 2 s" in logger.problem


PROGRAM = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
from test_guard import *
from commands import composed_config
logger = make_wandb_logger(composed_config("runs", SMOKE), Path(sys.argv[1]) / "run", ID, None)
logger.log_metrics({{"a": 1}}, 1)
assert logger.problem is None
"""
HANGS = """
wandb_logger.CALL_SECONDS = wandb_logger.STOPPED_SECONDS = 1.0
(service,) = services()
os.kill(service, signal.SIGSTOP)
logger.finish("finished", {})
print(service, logger.problem)
"""


def outcome(tmp_path, ending):
    """The exit code of a program that logs something and then does ``ending``, and the last line that it prints."""
    (tmp_path / "system").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "system")}
    with (tmp_path / "said").open("w") as said:  # not a pipe, which W&B's process would keep open
        command = [sys.executable, "-c", PROGRAM + ending, str(tmp_path)]
        done = subprocess.run(command, env=environment, stdout=said, stderr=said, timeout=300, check=False)
    return done.returncode, (tmp_path / "said").read_text().splitlines()[-1:]


@pytest.mark.long
def test_python_ends_although_wandb_hangs(tmp_path):
    code, (said,) = outcome(tmp_path, HANGS)
    service, problem = said.split(maxsplit=1)
    os.kill(int(service), signal.SIGKILL)
    assert code == 0 and "no answer" in problem


@pytest.mark.long
def test_a_process_that_is_killed_leaves_nothing_in_the_temporary_folder(tmp_path):
    code, _ = outcome(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert code == -signal.SIGKILL
    assert [file for file in (tmp_path / "system").iterdir() if "wandb" in file.name] == []


@pytest.mark.parametrize("failure", [OSError("no"), SystemExit(1), KeyboardInterrupt()])
def test_where_wandb_cannot_start_only_an_interrupt_is_raised(tmp_path, make_config, monkeypatch, failure):
    def init(**_):
        raise failure

    monkeypatch.setattr("wandb.init", init)
    before = variables()
    if isinstance(failure, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            make_wandb_logger(make_config(*SMOKE), tmp_path, ID, None)
    else:
        logger = make_wandb_logger(make_config(*SMOKE), tmp_path, ID, None)
        assert logger.problem.startswith("W&B could not start: ")
        logger.log_metrics({"train/loss": 1.0}, 1)
        logger.finish("finished", {})
    assert variables() == before


def test_disabled_there_is_no_logger(tmp_path, make_config):
    assert make_wandb_logger(make_config(*SMOKE, "tracking=disabled"), tmp_path, ID, None) is None
    assert list(tmp_path.iterdir()) == []
