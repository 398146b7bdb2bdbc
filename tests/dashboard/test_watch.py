"""What a dashboard sees of a folder of runs, whatever shape their records are in."""

import ast
import json
import shutil
from pathlib import Path

import pytest

import attncompare
from attncompare.dashboard.labels import labels
from attncompare.dashboard.look import look_at
from attncompare.dashboard.state import group_page, run_page, state_of
from attncompare.dashboard.watch import Watch
from attncompare.record import write_yaml
from attncompare.record import SWEEP_FILE


def groups(runs):
    return Watch(runs).groups()


def sweep(runs, add_run, planned=3):
    for seed in (1, 2):
        add_run(f"day/sweep/run{seed}", seed=seed)
    write_yaml(runs / "day" / "sweep" / "sweep.yaml", {"runs": [["attention=dot"] for _ in range(planned)]})


def test_an_empty_folder_has_no_runs(runs):
    assert groups(runs) == [] and state_of(groups(runs)) == {"groups": []}


def test_sweeps_and_single_runs_are_found(runs, add_run):
    sweep(runs, add_run)
    add_run("other/single", "additive")
    found = {group.name: group for group in groups(runs)}
    assert set(found) == {"day/sweep", "other/single"}
    assert found["day/sweep"].sweep and not found["other/single"].sweep
    assert [look.name for look in found["day/sweep"].looks] == ["day/sweep/run1", "day/sweep/run2"]
    assert found["day/sweep"].waiting == 1 and found["other/single"].waiting == 0
    assert state_of([found["day/sweep"]])["groups"][0]["counts"] == {"finished": 2, "waiting": 1}


def test_a_sweep_that_has_just_begun_is_shown(runs):
    (runs / "sweep").mkdir()
    write_yaml(runs / "sweep" / "sweep.yaml", {"runs": [["seed=1"], ["seed=2"]]})
    (group,) = groups(runs)
    assert (group.looks, group.waiting) == ((), 2)


def test_how_a_run_stands(runs, add_run):
    look = look_at(add_run("a").path, runs)
    assert (look.state, look.step, look.steps, look.train_loss, look.val_loss) == ("finished", 300, 300, 2.0, 2.3)
    assert look.best_loss == 2.1 and look.test["bleu"] == 30.0 and look.spark == (2.1, 2.2, 2.3)
    assert look.lines["val/exact_match"][0] == (100, pytest.approx(35.0))  # percent, as its axis says
    look = look_at(add_run("b", state="failed", message="the loss is nan").path, runs)
    assert (look.state, look.message, look.test) == ("failed", "the loss is nan", {})


def test_a_run_that_nobody_trains_was_killed_and_says_how_to_go_on(runs, add_run):
    look = look_at(add_run("it", state="running", steps=(100,)).path, runs)
    assert look.state == "killed" and f"attncompare train --resume {runs / 'it'}" in look.message


def test_the_time_left_follows_from_the_time_spent(runs, add_run):
    run = add_run("it", state="running", steps=(100,))
    assert look_at(run.path, runs).seconds_left == pytest.approx(20.0)  # 10 s for the first 100 of 300 steps
    assert look_at(add_run("new", state="running", steps=()).path, runs).seconds_left is None


DAMAGES = {
    "summary.json": ["", "[]", '{"format": 2, "state": "finished"}', '{"format": 2, "state": "running"}', "\0"],
    "config.yaml": ["", "attention: 3", "!!python/object:os.system {}", "a: &a [*a]"],
    "metrics.csv": ["", "step,epoch\n1\n", "step,epoch,train/loss\ninf,0,1\n", "step,epoch,train/loss\n,0,1\n"],
    "overrides.yaml": ["", "3", "{a: 1}"],
}


@pytest.mark.parametrize("state", ["finished", "interrupted"])
@pytest.mark.parametrize("name", DAMAGES)
def test_a_broken_record_is_shown_as_such_and_the_others_as_ever(runs, add_run, name, state):
    add_run("good")
    for number, content in enumerate(DAMAGES[name]):
        (add_run(f"bad{number}", state=state).path / name).write_text(content)
    found = {look.name: look for group in groups(runs) for look in group.looks}
    assert found.pop("good").state == "finished" and len(found) == len(DAMAGES[name])
    for look in found.values():
        assert (look.state, look.run) == ("damaged", None), content
        assert look.message and str(runs) not in look.message
    json.dumps(state_of(groups(runs)), allow_nan=False)


def test_links_and_hidden_folders_are_passed_over(runs, add_run, tmp_path):
    outside = shutil.move(add_run("outside").path, tmp_path / "outside")
    (runs / "link").symlink_to(outside)
    shutil.copytree(outside, runs / ".hidden" / "run")
    assert groups(runs) == []


def test_what_has_not_changed_is_not_read_again(runs, add_run, monkeypatch):
    run = add_run("it", state="interrupted")
    watch = Watch(runs)
    first = watch._look(run.path)
    assert watch._look(run.path) is first
    with (run.path / "metrics.csv").open("a") as file:
        file.write("301,0,1.0,31.0,,,,,\n")
    assert watch._look(run.path).train_loss == 1.0


def test_labels_say_what_sets_runs_apart(runs, add_run):
    looks = [look_at(add_run(f"{name}{seed}", name, seed).path, runs) for name in ("dot", "scaled") for seed in (1, 2)]
    assert labels(looks) == ["dot, seed 1", "dot, seed 2", "scaled, seed 1", "scaled, seed 2"]
    assert labels(looks[:1]) == ["dot, seed 1"]


def test_labels_differ_where_no_override_is_common_to_all(runs, add_run):
    asked = [(name, lr) for name in ("dot", "scaled") for lr in ("0.002", "0.004")]
    folders = [add_run(f"{name}{lr}", name, more=(f"optimizer.lr={lr}",)).path for name, lr in asked]
    for folder, (name, lr) in zip(folders, asked, strict=True):
        write_yaml(folder / "overrides.yaml", [f"attention={name}", f"optimizer.lr={lr}"])
    found = labels([look_at(folder, runs) for folder in folders])
    assert found == ["dot, lr 0.002", "dot, lr 0.004", "scaled, lr 0.002", "scaled, lr 0.004"]


def colors(groups):
    return {run["name"]: run["color"] for group in state_of(groups)["groups"] for run in group["runs"]}


def test_a_run_has_one_color_on_every_page(runs, add_run):
    sweep(runs, add_run)
    add_run("day/sweep/run3", "scaled")
    add_run("a", "additive")
    add_run("b", "dot")
    add_run("c", "scaled")
    watch = Watch(runs)
    found, together = watch.groups(), watch.group(watch.singles_id)
    known = colors(found)
    assert known["day/sweep/run1"] == known["day/sweep/run2"] != known["day/sweep/run3"]
    assert len({known[name] for name in "abc"}) == 3
    for group in found:
        for look in group.looks:
            page = run_page(look, group, found)
            lines = [line for task in page["curves"] for figure in task["figures"] for line in figure["lines"]]
            assert {page["run"]["color"], *(line["color"] for line in lines)} == {known[look.name]}
    page = group_page(together, found)
    assert {run["name"]: run["color"] for run in page["group"]["runs"]} == {name: known[name] for name in "abc"}
    assert [line["color"] for line in page["curves"][0]["figures"][0]["lines"]] == [known[name] for name in "abc"]


def test_all_single_runs_are_a_group_of_their_own(runs, add_run):
    watch = Watch(runs)
    assert watch.group(watch.singles_id) is None
    for name, state in (("b", "finished"), ("a", "interrupted")):
        add_run(name, state=state)
    sweep(runs, add_run)
    watch = Watch(runs)
    group = watch.group(watch.singles_id)
    assert ([look.name for look in group.looks], group.waiting) == (["a", "b"], 0)
    assert group.compared == [runs / "b"] and not group.sweep
    assert group_page(group, watch.groups())["group"]["title"] == "Single runs"


def test_what_a_sweep_s_file_is_called_stands_in_one_place():
    package = Path(attncompare.__file__).parent
    named = {file for file in package.rglob("*.py") for node in ast.walk(ast.parse(file.read_bytes()))
             if isinstance(node, ast.Constant) and node.value == SWEEP_FILE}  # fmt: skip
    assert named == {package / "tracking" / "sweeps.py"}
