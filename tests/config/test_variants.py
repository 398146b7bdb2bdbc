"""What a variant is called: the yaml with its settings, or the nearest one and what differs."""

import functools

import pytest
from commands import composed_config
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hypothesis import example, given
from hypothesis import strategies as st

from attncompare.config import CONF_DIR, variants
from attncompare.config.schema import AttentionConfig
from attncompare.config.variants import variant_in_file_names, variant_label, variant_names
from attncompare.record import create_folder
from attncompare.sweep.folder import Job, labels

CALLED = {
    ("attention=scaled", "attention.score=dot"): "dot",
    ("attention=multihead", "attention.heads=12"): "multihead heads=12",
    ("attention=multihead", "attention.heads=1"): "scaled",
    ("attention=dot", "attention.dropout=0.1", "attention.head_dim=7"): "dot head_dim=7 dropout=0.1",
    ("attention=dot", "attention.name=mine"): "dot",
    ("attention=dot", "attention.heads=2", "attention.kv_heads=1", "attention.mask={window: 16}"): (
        "dot window=16 heads=2 kv_heads=1"
    ),
    ("attention=scaled", "attention.mask={window: 16}"): "scaled window=16",
    ("attention=window", "attention.mask.window=16"): "window window=16",
    ("attention=soft_cap", "attention.score.cap=30"): "soft_cap cap=30",
    ("attention=cosine", "attention.normalizer=sigmoid"): "cosine normalizer=sigmoid",
    ("attention=cosine", "attention.positions=rotary"): "cosine positions=rotary",
    ("attention=cosine", "attention.mask={name: strided, stride: 5}"): "cosine mask=strided stride=5",
    ("attention=multihead", "+attention.sites.cross.score=additive"): "multihead cross.score=additive",
    ("attention=scaled", "+attention.layers.1.mask.window=9"): "scaled layer1.window=9",
    # A yaml with something for a layer is not the nearest one of a run without.
    ("attention=scaled", "attention.name=local_global", "attention.heads=3"): "multihead heads=3",
    # Two parts with a setting of one name.
    ("attention=random", "attention.mask={name: prefix, length: 9}", "attention.score.length=12"): (
        "random score.length=12 mask=prefix mask.length=9"
    ),
}


@pytest.mark.parametrize("overrides", CALLED)
def test_a_label_says_what_the_variant_is(tmp_path, overrides):
    assert variant_label(composed_config(tmp_path, overrides).attention) == CALLED[overrides]


def test_each_named_variant_is_called_by_its_name(tmp_path):
    assert list(variant_names()) == sorted(file.stem for file in (CONF_DIR / "attention").glob("*.yaml"))
    for name in variant_names():
        config = composed_config(tmp_path, [f"attention={name}", "backbone=recurrent"])  # which does without any, too
        assert variant_label(config.attention) == name


SETTINGS = {
    "score": st.sampled_from(["dot", "scaled", {"name": "soft_cap", "cap": 50.0, "score": "dot"}, {"name": "random"}]),
    "normalizer": st.sampled_from(["softmax", "sigmoid", {"name": "sink", "learned": False}]),
    "mask": st.sampled_from([None, {"window": 8}, {"window": 16, "sinks": 4}, {"name": "prefix", "length": 8}]),
    "positions": st.sampled_from([None, "rotary", {"name": "rotary", "base": 9.0}, {"name": "t5", "farthest": 16}]),
    "heads": st.sampled_from([1, 4]),
    "dropout": st.sampled_from([0.0, -0.0, 0.1]),
    "gate": st.sampled_from([None, "headwise"]),
    "sites": st.sampled_from([{}, {"cross": {"score": "additive"}}, {"decoder": {"mask": {"window": 8}}}]),
    "layers": st.sampled_from([{}, {"1": {"mask": {"window": 8}}}, {"2": {"heads": 4}}]),
}
CHANGES = st.fixed_dictionaries({}, optional=SETTINGS)


NAMES = ("scaled", "multihead", "random", "window", "streaming", "t5", "sink", "local_global", "additive_cross")


@functools.cache
def named(name):
    return composed_config("runs", [f"attention={name}"]).attention.model_dump(mode="json")


@given(st.sampled_from(NAMES), CHANGES, CHANGES)
@example("local_global", {"heads": 3}, {"layers": {}})
def test_two_variants_share_a_label_only_where_all_settings_are_the_same(name, changes, more):
    labels, settings = [], []
    for own in (changes, {**changes, **more}):
        try:
            attention = AttentionConfig.model_validate({**named(name), **own})
        except ValueError:  # a combination that is refused
            return
        labels.append(variant_label(attention))
        settings.append(repr(variants._settings(attention)))
    assert (labels[0] != labels[1]) or settings[0] == settings[1]


def test_the_yamls_are_composed_once_for_the_labels_of_many_runs(tmp_path):
    config = composed_config(tmp_path, ["attention.heads=7"]).attention
    variants._composed.cache_clear()
    assert len({variant_label(config.model_copy(update={"heads": heads})) for heads in range(5, 30)}) == 25
    assert variants._composed.cache_info().misses == 2  # the yaml of the run's name, and all


def test_a_label_can_be_asked_for_while_hydra_runs_a_sweep(tmp_path):
    config = composed_config(tmp_path, ["attention.score=dot", "attention.heads=2"])
    variants._composed.cache_clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        assert variant_label(config.attention) == "dot heads=2"
        assert GlobalHydra.instance().hydra is before


def test_folders_and_the_list_of_a_sweep_say_it_too(tmp_path):
    config = composed_config(tmp_path, ["attention.score=dot", "attention.heads=3", "attention.gate=headwise"])
    assert variant_in_file_names(config.attention) == "dot-gate-headwise"
    assert "-translation-dot-gate-headwise-h3-s1-" in create_folder(config).name
    assert labels([Job(config, ())]) == ["translation dot gate=headwise h3 seed 1"]
