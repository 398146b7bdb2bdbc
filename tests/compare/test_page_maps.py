import numpy as np
import pytest
from sample_maps import sample_probe

from attncompare.compare.groups import compare_groups
from attncompare.compare.page_maps import evenly, page_maps
from attncompare.maps.maps import head_numbers, save_maps
from attncompare.maps.page import script_json
from attncompare.record import Run
from attncompare.record import seal


def with_maps(run, steps, probes=5, heads=1):
    for file in run.map_files():
        file.unlink()
    for step in steps:
        kept = [sample_probe(number, heads, seed=number, text=f"sentence {number}") for number in range(probes)]
        save_maps(run.path / "maps" / f"step-{step:07d}.npz", step, kept)
    seal(run.path)
    return Run.open(run.path)


@pytest.mark.parametrize(("count", "most"), [(0, 3), (1, 1), (3, 12), (20, 12), (1000, 2), (7, 1)])
def test_steps_are_chosen_evenly_with_both_ends(count, most):
    places = evenly(count, most)
    assert len(places) == min(count, most) and places == sorted(set(places))
    if count:
        assert places[-1] == count - 1 and (most == 1 or places[0] == 0)


def test_a_small_comparison_keeps_its_steps_and_four_sentences(make_run):
    (comparison,) = compare_groups([with_maps(make_run("a"), [10, 20, 30])])
    found = page_maps(comparison)
    steps = found.viewer["series"][0]["steps"]
    assert [step["step"] for step in steps] == [10, 20, 30] and [len(step["probes"]) for step in steps] == [4] * 3


def test_what_does_not_fit_is_left_out_evenly_and_said(make_run):
    (comparison,) = compare_groups([with_maps(make_run("a"), range(10, 410, 10)), make_run("s2", "seed=2")])
    found = page_maps(comparison)
    assert [step["step"] for step in found.viewer["series"][0]["steps"]][::11] == [10, 400]
    assert "first seed" in found.note and "12 of 40 validation steps" in found.note
    limit = 20_000
    small = page_maps(comparison, limit)
    assert len(small.viewer["series"][0]["steps"]) < 12 and len(script_json(small.viewer["series"])) < 2 * limit
    nothing = page_maps(comparison, 100)
    assert nothing.viewer["series"] == [] and "the maps of scaled are left out to keep the file small" in nothing.note


def test_numbers_of_heads_are_means_over_the_sentences_of_the_last_step(make_run):
    run = with_maps(make_run("a", "attention=multihead", "attention.heads=2"), [10, 20], heads=2)
    (comparison,) = compare_groups([run])
    heads = page_maps(comparison).heads["series"][0]
    assert heads["about"] == "seed 1, step 20"
    (_, probes) = run.maps()[-1]
    expected = [
        [(n.entropy, n.aer) for n in head_numbers(site)]
        for probe in probes
        for site in probe.sites
        if site.site == "cross"
    ]
    tables = heads["sites"]["cross"]
    assert np.shape(tables["entropy"]) == (2, 2)  # layers, heads
    assert np.ravel(tables["entropy"]) == pytest.approx(np.mean(expected, 0)[:, 0], abs=1e-3)
    assert np.ravel(tables["aer"]) == pytest.approx(np.mean(expected, 0)[:, 1], abs=1e-3)
    assert heads["sites"]["encoder_self"]["aer"] == [[None, None], [None, None]]


def test_runs_without_maps_are_no_failure(make_run):
    (comparison,) = compare_groups([with_maps(make_run("a"), [])])
    found = page_maps(comparison)
    assert found.heads is None and found.viewer["series"][0]["steps"] == []
