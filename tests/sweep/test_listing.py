"""``attncompare sweeps``: each sweep with what it varies and how far it is; a damaged one is named and stops nothing."""

import json

import pytest
from filelock import FileLock

from attncompare.errors import RunFailed
from attncompare.record import RunLock, find_runs
from attncompare.sweep.listing import varied


@pytest.fixture
def half(begin, launcher):
    """A sweep with a run in each state."""
    launcher.states = {2: "failed", 3: "running", 4: "interrupted", 5: "waiting"}
    with pytest.raises(RunFailed):
        begin(*(f"attention=dot seed={seed}" for seed in range(1, 6)))
    return launcher.sweeps[-1].path


def test_states_what_varies_and_what_can_be_done(half, cli, tmp_path):
    code, out, _ = cli("sweeps", tmp_path / "runs")
    assert code == 0 and "1 finished, 1 failed, 1 interrupted, 1 killed, 1 waiting" in out
    assert "seed (5)" in out and "attention" not in out.partition("compare:")[0]
    assert f"go on with {half}: attncompare train -m" in out
    assert f"compare: attncompare compare {half}" in out
    (killed,) = [run for run in find_runs([half]) if run.state == "running"]
    lock = RunLock(killed.path)
    with FileLock(half / ".lock"):
        _, out, _ = cli("sweeps", tmp_path / "runs")
    lock.release()
    assert "1 finished, 1 training, 1 failed" in out and "go on with" not in out


@pytest.mark.parametrize("columns", [20, 80])
def test_no_terminal_breaks_a_path(half, cli, tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    _, out, _ = cli("sweeps", tmp_path / "runs")
    assert str(half) in out.splitlines()


def test_a_finished_sweep_as_json(begin, cli):
    folder = begin("attention=dot", "attention=scaled")
    (sweep,) = json.loads(cli("sweeps", folder.parents[1], "--json")[1])["sweeps"]
    assert (sweep["folder"], sweep["runs"], sweep["states"]) == (str(folder), 2, {"finished": 2})
    assert sweep["varies"] == {"attention": ["dot", "scaled"]} and sweep["training"] is False


def test_damaged_ones_are_named(half, begin, launcher, cli, tmp_path):
    launcher.states = {}
    other = begin("attention=additive notes='\x1b[2J'", "attention=scaled")
    (half / "sweep.yaml").write_text("{")
    first, _ = find_runs([other])
    (first.path / "config.yaml").write_text("a: 1\n")
    code, out, _ = cli("sweeps", tmp_path / "runs")
    assert code == 0 and "1 finished, 1 waiting, 1 damaged" in out
    assert f"damaged: {half / 'sweep.yaml'}" in out and f"damaged: {first.path / 'config.yaml'}" in out
    assert "\x1b[2J" not in out


def test_no_sweeps_and_no_folder(cli, tmp_path):
    assert "no sweeps in " in cli("sweeps", tmp_path)[1]
    code, _, err = cli("sweeps", tmp_path / "nowhere")
    assert code == 2 and "nowhere" in err and err.count("\n") == 1


def test_a_key_that_only_some_runs_set_varies():
    assert varied([["seed=1", "a=1"], ["seed=2", "a=1"]]) == {"seed": ["1", "2"]}
    assert varied([["seed=1"], ["seed=1", "a=1"]]) == {"a": ["1"]}
