"""Runs of recurrent models, with attention and without: the record, its maps, asking it, comparing, repeating, resuming."""

import pytest
from commands import composed_config
from outcomes import assert_same
from training_runs import LANGUAGE_MODEL, RUN

from attncompare.maps.maps import maps_of
from attncompare.training.run import resume, train

OF_TRANSFORMERS = ("backbone.d_ff", "attention", "tracking=")
SETTINGS = {"translation": ("backbone.cell=lstm", "backbone.attend=before"), "language_model": ("backbone.layers=2",)}


def recurrent(task, attention):
    """Return the overrides of a run that keeps W&B's view of it offline."""
    run = RUN if task == "translation" else LANGUAGE_MODEL
    settings = () if attention == "none" else SETTINGS[task]
    kept = [one for one in run if not one.startswith(OF_TRANSFORMERS)]
    return [*kept, "tracking=offline", "backbone=recurrent", f"attention={attention}", *settings]


@pytest.mark.parametrize("task", SETTINGS)
def test_a_run_without_attention_has_all_but_maps_and_can_be_compared_and_repeated(task, tmp_path, cli):
    runs = {}
    for attention in ("none", "additive"):
        overrides = recurrent(task, attention)
        runs[attention] = train(composed_config(tmp_path / "runs", overrides), overrides)
    assert maps_of(runs["none"]) == [] and not (runs["none"].path / "maps").exists()
    (site,) = maps_of(runs["additive"])[-1][1][0].sites
    layers = 2 if task == "language_model" else 1
    assert (site.site, site.layers) == ("cross" if task == "translation" else "decoder_self", layers)
    code, out, err = cli("compare", tmp_path / "runs", "--html", "page.html")
    assert (code, "none" in out, "additive" in out) == (0, True, True), err
    code, _, err = cli("attend", runs["none"].path, "abc")
    assert code == 2 and "attention=none" in err
    code, out, err = cli("reproduce", runs["none"].path)
    assert code == 0, (out, err)


@pytest.mark.parametrize("attention", ["none", "additive"])
def test_stopped_and_resumed_it_is_the_same_run(attention, tmp_path):
    overrides = recurrent("translation", attention)
    reference = train(composed_config(tmp_path / "reference", overrides))
    run = train(composed_config(tmp_path / "stopped", overrides), stop_after=5)
    assert_same(resume(run.path), reference)
