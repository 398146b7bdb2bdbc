"""What a variant is called: its name, and what differs from the yaml of that name."""

import pytest
from commands import composed_config
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from attncompare.config import CONF_DIR, variants
from attncompare.config.variants import variant_in_file_names, variant_label, variant_names
from attncompare.record import create_folder
from attncompare.sweep.folder import Job, labels

CALLED = {
    ("attention=scaled", "attention.score=dot"): "scaled score=dot",
    ("attention=multihead", "attention.heads=12"): "multihead heads=12",
    ("attention=multihead", "attention.heads=4"): "multihead",
    ("attention=dot", "attention.dropout=0.1", "attention.head_dim=7"): "dot head_dim=7 dropout=0.1",
    ("attention=dot", "attention.name=mine"): "mine",
    ("attention=dot", "attention.name=additive"): "additive score=dot",
}


@pytest.mark.parametrize("overrides", CALLED)
def test_a_label_says_what_differs_from_the_named_yaml(tmp_path, overrides):
    config = composed_config(tmp_path, overrides)
    assert variant_label(config.attention) == CALLED[overrides]


def test_each_named_variant_is_called_by_its_name(tmp_path):
    assert variant_names() == ("additive", "causal", "dot", "multihead", "scaled")
    for name in variant_names():
        assert variant_label(composed_config(tmp_path, [f"attention={name}"]).attention) == name


def test_a_label_can_be_asked_for_while_hydra_runs_a_sweep(tmp_path):
    config = composed_config(tmp_path, ["attention.score=dot"])
    variants._as_named.cache_clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        assert variant_label(config.attention) == "scaled score=dot"
        assert GlobalHydra.instance().hydra is before


def test_folders_and_the_list_of_a_sweep_say_it_too(tmp_path):
    config = composed_config(tmp_path, ["attention.score=dot", "attention.heads=3"])
    assert variant_in_file_names(config.attention) == "scaled-score-dot"
    assert "-translation-scaled-score-dot-h3-s1-" in create_folder(config).name
    assert labels([Job(config, ())]) == ["translation scaled score=dot h3 seed 1"]
