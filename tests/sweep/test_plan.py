"""``--dry-run``: what a sweep would train, what that takes, and what its seeds can decide; nothing is started."""

import pytest

from attncompare.compare.looks import Look, record_look
from attncompare.record import find_runs
from attncompare.sweep.plan import print_plan


@pytest.fixture
def plan(jobs_of, capsys):
    """Return the lines that the plan of some runs prints, by how they begin."""

    def plan(*lines, fresh=False, workers=2):
        capsys.readouterr()
        print_plan(jobs_of(*lines), fresh, lambda _: workers)
        return capsys.readouterr().out.splitlines()

    return plan


def grid(seeds, *names):
    return [f"attention={name} seed={seed}" for name in names for seed in range(1, seeds + 1)]


def line(lines, beginning):
    (found,) = [line for line in lines if line.startswith(beginning)]
    return found


def test_nothing_is_written_and_each_run_has_a_row(plan, tmp_path):
    lines = plan(*grid(2, "dot", "scaled"))
    assert sum("to train" in one for one in lines[:5]) == 4 and "4 to train" in line(lines, "4 runs:")
    assert "unknown" in line(lines, "time and disk") and not (tmp_path / "runs").exists()


def test_time_and_disk_are_those_of_finished_runs_that_differ_in_the_seed_alone(plan, begin, launcher, monkeypatch):
    monkeypatch.setattr("attncompare.record.RecordLogger.wall_seconds", 600.0)
    folder = begin(*grid(2, "dot"))
    before = sorted(folder.parents[1].rglob("*"))
    lines = plan(*grid(6, "dot"))
    assert "2 there already" in line(lines, "6 runs:") and str(folder) in line(lines, "6 runs:")
    assert line(lines, "time:").startswith("time: 20 min, 2 at a time")
    assert "unknown" in line(plan(*grid(3, "dot", "scaled")), "time:")
    assert "6 to train" in line(plan(*grid(6, "dot"), fresh=True), "6 runs:")
    assert sorted(folder.parents[1].rglob("*")) == before and len(find_runs([folder])) == 2


@pytest.mark.parametrize(("seeds", "p"), [(5, "0.062, so they cannot"), (6, "0.031, so they can ")])
def test_the_smallest_p_that_the_seeds_can_reach(plan, seeds, p):
    assert p in line(plan(*grid(seeds, "dot", "scaled")), "seeds:")


def test_looks_at_runs_that_are_there_make_the_next_one_stricter(plan, begin):
    folder = begin(*grid(6, "dot", "scaled"))
    record_look(folder, "translation", Look(seeds=(1, 2, 3, 4, 5, 6), spent=0.04))
    found = line(plan(*grid(7, "dot", "scaled")), "seeds:")
    assert "cannot decide (at 0.005 after 1 look)" in found
    assert "can decide (at 0.04)" in line(plan(*grid(6, "dot", "scaled")), "seeds:")  # the same look again


def test_one_variant_or_no_common_seed_is_said(plan):
    assert "one variant" in line(plan(*grid(6, "dot")), "seeds:")
    assert "none in common" in line(plan("attention=dot seed=1", "attention=scaled seed=2"), "seeds:")
