"""The processes of a sweep on this machine: whatever one of them does, the others go on, and it is told and kept."""

import contextlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import struct
from pathlib import Path

import pytest
from left_records import leave
from rich.console import Console

from attncompare.errors import RunFailed
from attncompare.sweep import pool
from attncompare.sweep.folder import Sweep
from attncompare.sweep.job import Job
from attncompare.sweep.start import start


def finish(*, job, place, output, connection):
    """End as a run does that went well."""
    output.write_text("")
    connection.send(leave(Sweep.open(place.folder), job, "finished"))
    connection.send("finished")


def half_a_message(*, connection, output, **_):
    output.write_text("")
    os.write(connection.fileno(), struct.pack("!i", 100) + b"half")
    os._exit(1)


def no_output(*, connection, **_):
    connection.send("failed")


def no_record(*, connection, output, place, **_):
    output.write_text("")
    connection.send(place.folder / "nowhere")
    connection.send("finished")


def refused(*, connection, output, **_):
    output.write_text("preparing\nerror: needs more memory\x1b[2J\n")
    connection.send("failed")


def killed(*, output, **_):
    output.write_text("preparing\n")
    os.kill(os.getpid(), signal.SIGKILL)


def taken_back(*, job, connection, output, place, **_):
    """End as a run does whose record could not even be begun."""
    folder = leave(Sweep.open(place.folder), job, "running")
    connection.send(folder)
    shutil.rmtree(folder)
    refused(connection=connection, output=output)


@pytest.fixture
def train(jobs_of, monkeypatch):
    """Train seeds 1 and 2, one after the other, in processes that do as the first says; gives what was told."""
    monkeypatch.setattr(pool, "_processes", lambda: multiprocessing.get_context("fork"))

    def train(first, runs=None):
        monkeypatch.setattr(pool, "work", lambda **given: (first if given["job"].config.seed == 1 else finish)(**given))
        jobs = jobs_of("trainer=cpu seed=1", "trainer=cpu seed=2")
        if runs:
            jobs = [Job(job.config.model_copy(update={"runs": str(runs)}), job.overrides) for job in jobs]
        said = io.StringIO()

        def launch(sweep, left, _):
            pool.train_here(sweep, left, Console(file=said), workers=1)

        with contextlib.suppress(RunFailed):
            start(jobs, "attncompare train -m", launch, fresh=False)
        return said.getvalue()

    return train


@pytest.fixture
def states(cli, tmp_path):
    """Give the states that ``attncompare sweeps --json`` counts."""

    def states():
        (sweep,) = json.loads(cli("sweeps", tmp_path / "runs", "--json")[1])["sweeps"]
        return sweep["states"]

    return states


@pytest.mark.parametrize("first", [half_a_message, no_output, no_record])
def test_a_process_that_breaks_off_stops_no_other(train, states, first):
    train(first)
    assert states()["finished"] == 1


def test_a_finished_run_whose_record_cannot_be_read_is_told(train):
    assert "nowhere: no such folder" in train(no_record)


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (refused, "error: needs more memory\\x1b[2J\n"),
        (taken_back, "error: needs more memory\\x1b[2J\n"),
        (killed, "failed (SIGKILL: the system may have run out of memory)\n"),
    ],
)
def test_a_run_that_fails_before_it_has_a_record_counts_as_failed_until_it_is_started_again(
    train, states, tmp_path, cli, first, why
):
    train(first)
    assert states() == {"failed": 1, "finished": 1}
    assert "1 finished, 1 failed" in cli("sweeps", tmp_path / "runs")[1]
    (kept,) = tmp_path.glob("runs/*/*/output/000.failed")
    assert kept.read_text() == why
    train(finish)
    assert states() == {"finished": 2}
    assert not kept.exists()


def test_one_that_has_a_record_needs_no_second_note(train, tmp_path):
    def failed(*, job, place, **given):
        given["connection"].send(leave(Sweep.open(place.folder), job, "failed"))
        refused(**given)

    train(failed)
    assert not list(tmp_path.glob("runs/*/*/output/*.failed"))


@pytest.mark.parametrize("name", ["exp[test]", "exp[/x]"])
def test_folders_are_named_as_they_are(train, cli, tmp_path, name):
    folder = tmp_path / Path(name)
    folder.mkdir(parents=True)
    code, out, _ = cli("sweeps", folder)
    assert code == 0 and f"no sweeps in {folder};" in out
    assert f"2 runs, 1 at a time, in {folder}" in train(finish, folder)
