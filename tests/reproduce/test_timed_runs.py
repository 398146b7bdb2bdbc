"""A run with a time budget is trained again by its recorded plan and steps, whatever the clock says now."""

import json
from pathlib import Path

import pytest
from clocked import FakeClock
from commands import SMOKE, composed_config
from outcomes import assert_same

from attncompare.errors import Refused
from attncompare.record import Run, find_runs
from attncompare.reproduce.sources import facts_of
from attncompare.training.ending import Course
from attncompare.training.run import resume, train

TIMED = (
    *(*SMOKE, "tracking=disabled", "tracking.probes=0", "trainer.max_time=100", "trainer.max_steps=1000"),
    *("trainer.validate_every=30", "trainer.log_every=7", "optimizer.warmup_steps=20", "backbone.dropout=0.2"),
)


@pytest.fixture
def timed(tmp_path, monkeypatch):
    """A run that planned 100 steps, became slow, and was ended by its time at step 62; and its clock."""
    clock = FakeClock(monkeypatch)

    def slower(progress):
        clock.pace = 10.0 if progress.step >= 56 else 1.0

    run = train(composed_config(tmp_path / "runs", TIMED), on_progress=slower)
    assert (run.summary["planned_steps"], run.summary["planned_after"], run.summary["steps"]) == (100, 50, 62)
    assert run.summary["ended_by"] == "max_time"
    return run, clock


def reproduction(home):
    (file,) = Path(home).rglob("reproduction.json")
    return json.loads(file.read_text()), Run.open(file.parent)


@pytest.mark.parametrize("pace", [0.001, 1000.0])
def test_it_comes_out_identical_on_a_machine_of_any_speed(cli, timed, pace):
    run, clock = timed
    clock.pace = pace
    code, out, err = cli("reproduce", run.path)
    assert code == 0 and out.startswith("verdict: identical"), err
    report, again = reproduction("runs")
    assert report["verdict"] == "identical"
    assert again.summary["steps"] == 62 and again.summary["ended_by"] == "max_time"
    assert facts_of(again).course == facts_of(run).course == {"planned_after": 50, "planned_steps": 100, "last": 62}


def test_its_repetition_can_be_interrupted_too(timed, tmp_path):
    run, clock = timed
    clock.pace = 0.001
    config, course = composed_config(tmp_path / "again", TIMED), Course(**facts_of(run).course)
    whole = train(config, course=course)
    assert_same(resume(train(config, course=course, stop_after=40).path), whole)
    assert (whole.summary["test"], whole.summary["weights_sha256"]) == (
        run.summary["test"],
        run.summary["weights_sha256"],
    )


@pytest.mark.parametrize("stop", [40, 55])  # before the plan and after it
def test_the_first_steps_of_an_unfinished_one_can_be_compared(cli, tmp_path, monkeypatch, stop):
    clock = FakeClock(monkeypatch)
    train(composed_config(tmp_path / "runs", TIMED), stop_after=stop)
    (run,) = find_runs([tmp_path / "runs"])
    clock.pace = 0.02
    code, out, err = cli("reproduce", run.path, "--steps", "49")
    assert code == 0 and out.startswith("verdict: identical"), err


@pytest.mark.parametrize("end", ["trainer.max_steps=20", "trainer.max_steps=70"])  # before a plan; before its end
def test_so_does_one_that_ended_before_its_time(cli, tmp_path, monkeypatch, end):
    clock = FakeClock(monkeypatch)
    run = train(composed_config(tmp_path / "runs", (*TIMED, end)))
    assert run.summary["ended_by"] == "max_steps"
    clock.pace = 10.0
    code, out, err = cli("reproduce", run.path)
    assert code == 0 and out.startswith("verdict: identical"), err


def test_a_record_that_lost_its_plan_is_refused(tmp_path, monkeypatch, cli):
    FakeClock(monkeypatch)
    run = train(composed_config(tmp_path / "runs", TIMED))
    monkeypatch.setattr("attncompare.reproduce.sources._course", lambda *_: None)
    code, _, err = cli("reproduce", run.path)
    assert code == 2 and "its record does not tell for how many steps" in err
    with pytest.raises(Refused, match="its plan of steps cannot be"):
        train(composed_config(tmp_path / "runs", TIMED), course=Course(50, 2000, 60))


def test_a_config_alone_is_trained_by_the_clock_and_again_by_what_that_gave(cli, tmp_path, monkeypatch):
    FakeClock(monkeypatch)
    run = train(composed_config(tmp_path / "runs", TIMED), stop_after=2)
    (Path("there") / "x").mkdir(parents=True)
    (Path("there") / "config.yaml").write_bytes((run.path / "config.yaml").read_bytes())
    code, out, err = cli("reproduce", "there/config.yaml")
    assert code == 0 and out.startswith("verdict: identical"), err
