"""What a dashboard sees of a folder of runs, whatever shape their records are in."""

import shutil
from pathlib import Path

import pytest
import yaml

from attncompare.dashboard.folder import View, Watch
from attncompare.record import Run, write_yaml


def views(runs):
    return {view.name: view for group in Watch(runs).groups() for view in group.views}


def plan(folder, runs):
    folder.mkdir(parents=True, exist_ok=True)
    values = {"format": 2, "started": "2026-01-01T00:00:00", "command": "x", "made_with": {}}
    write_yaml(
        folder / "sweep.yaml",
        {**values, "runs": [["a"] for _ in range(runs)], "configs": [f"{n}" for n in range(runs)]},
    )


def test_sweeps_and_single_runs_with_what_waits_and_what_varies(runs, add_run):
    for seed in (1, 2):
        add_run(f"day/sweep/run{seed}", seed=seed)
    plan(runs / "day" / "sweep", 3)
    plan(runs / "day" / "begun", 2)
    for name in ("b", "a"):
        add_run(f"other/{name}", "additive")
    found = {group.name: group for group in Watch(runs).groups()}
    assert list(found) == ["day/sweep", "day/begun", "."]
    assert found["day/sweep"].states == {"finished": 2, "waiting": 1} and found["day/sweep"].varies == "seed"
    assert found["day/begun"].states == {"waiting": 2}
    assert [view.name for view in found["."].views] == ["other/a", "other/b"]


def test_runs_that_a_sweep_shares_stand_in_it_and_where_they_lie(runs, add_run):
    add_run("day/alone", seed=1)
    add_run("day/sweep/own", seed=2)
    plan(runs / "day" / "sweep", 3)
    values = yaml.safe_load((runs / "day/sweep/sweep.yaml").read_text())
    write_yaml(runs / "day/sweep/sweep.yaml", values | {"format": 3, "shared": {"0": "../alone", "1": "../gone"}})
    found = {group.name: group for group in Watch(runs).groups()}
    assert found["day/sweep"].states == {"finished": 2, "waiting": 1} and found["."].states == {"finished": 1}


def test_how_far_a_run_is(runs, add_run):
    for name, state, steps in (("done", "finished", (100, 300)), ("begun", "running", (100,)), ("new", "running", ())):
        add_run(name, state=state, steps=steps)
    add_run("bad", state="failed", message="the loss is nan\x1b[2J")
    found = views(runs)
    assert (found["done"].state, found["done"].step, found["done"].steps) == ("finished", 300, 300)
    assert (found["done"].newest("train/loss"), found["done"].newest("val/loss")) == (2.0, 2.3)
    assert found["begun"].state == "killed" and f"attncompare train --resume {runs / 'begun'}" in found["begun"].message
    assert found["new"].step == 0 and found["new"].newest("val/loss") is None
    assert (found["bad"].state, found["bad"].message) == ("failed", "the loss is nan\\x1b[2J")


def test_the_time_left_is_that_of_the_nearer_limit(make_config):
    config = make_config("trainer.max_steps=100000", "trainer.max_time=100")
    rows = [{"step": 30, "train/seconds": 60.0}]
    for summary, left in (({}, 40.0), ({"planned_steps": 45}, 30.0), ({"planned_steps": 90, "course": {}}, 120.0)):
        run = Run(Path("run"), summary)
        vars(run)["config"] = config
        assert View("id", Path("run"), "run", "1", "running", run=run, rows=rows).seconds_left == pytest.approx(left)


DAMAGES = {
    "summary.json": ["", "[]", '{"format": 3, "state": "finished"}', '{"format": 3, "state": "running"}', "\0"],
    "config.yaml": ["", "attention: 3", "!!python/object:os.system {}", "a: &a [*a]"],
    "metrics.csv": ["", "step,epoch\n1\n", "step,epoch,train/loss\ninf,0,1\n", "step,epoch,train/loss\n,0,1\n"],
}


@pytest.mark.parametrize("state", ["finished", "interrupted"])
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_record_is_shown_as_such_beside_the_others(runs, add_run, dashboard, name, state):
    add_run("good")
    for number, content in enumerate(DAMAGES[name]):
        (add_run(f"bad{number}", state=state).path / name).write_text(content)
    found = views(runs)
    assert found.pop("good").state == "finished" and len(found) == len(DAMAGES[name])
    for view in found.values():
        assert (view.state, view.run) == ("damaged", None) and view.message and str(runs) not in view.message
    for address in ("/", *(f"/run/{view.id}" for view in found.values())):
        assert dashboard.ask(address)[0] == 200


def test_links_and_hidden_folders_are_passed_over(runs, add_run, tmp_path):
    outside = shutil.move(add_run("outside").path, tmp_path / "outside")
    (runs / "link").symlink_to(outside)
    shutil.copytree(outside, runs / ".hidden" / "run")
    assert views(runs) == {}


def test_what_has_not_changed_is_not_read_again(runs, add_run):
    run = add_run("it", state="interrupted")
    watch = Watch(runs)
    (first,), (again,) = (watch.groups()[0].views for _ in range(2))
    assert again is first
    lines = (run.path / "metrics.csv").read_text().splitlines()
    with (run.path / "metrics.csv").open("a") as file:
        file.write(lines[-1].replace("300", "301", 1) + "\n")
    assert watch.groups()[0].views[0].step == 301
