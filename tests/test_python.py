"""``import attncompare as ac``: what Python and notebooks have."""

import subprocess
import sys

import pytest
from commands import SMOKE

import attncompare as ac
from attncompare.errors import Refused
from attncompare.record import Run

NAME = "<b>x & y"
OVERRIDES = (*SMOKE, "tracking=disabled", "tracking.probes=1")
LEARNING = ("optimizer.lr=0.001", "optimizer.warmup_steps=1")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run trained by a list as on the command line, and one by values."""
    folder = tmp_path_factory.mktemp("python")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        first = ac.train([*OVERRIDES, "attention=dot", "seed=2", *LEARNING], progress=None)
        values = dict(override.split("=") for override in OVERRIDES if override.split("=")[1].isdigit())
        numbers = {key: int(value) for key, value in values.items()}
        named = dict(override.split("=") for override in OVERRIDES if override.split("=")[0] not in values)
        told = {**named, **numbers, "optimizer": {"lr": 1e-3, "warmup_steps": 1}}
        second = ac.train(told, attention="multihead", seed=2, notes='it\'s 5 % "more", [or] less', progress=None)
        yield first.run.path.absolute(), second.run.path.absolute()


def test_importing_it_is_quick_and_lists_what_it_has():
    code = (
        "import attncompare as ac, sys; print(dir(ac)); print(ac.__version__);"
        "print([name for name in ('torch', 'pandas', 'matplotlib', 'hydra') if name in sys.modules])"
    )
    names, version, heavy = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert all(f"'{name}'" in names for name in ac.__all__) and heavy == "[]"
    assert version[0].isdigit() and version == ac.__version__
    for name in ac.__all__:
        assert getattr(ac, name) is not None
    with pytest.raises(AttributeError):
        ac.nothing  # noqa: B018


def test_lists_and_values_train_what_the_command_line_does(runs):
    first, second = (Run.open(path).config for path in runs)
    assert first.attention.name == "dot" and first.seed == second.seed == 2
    assert second.attention.name == "multihead" and second.notes == 'it\'s 5 % "more", [or] less'
    assert second.optimizer.lr == 1e-3 and second.optimizer.warmup_steps == 1
    assert second.data == first.data and second.backbone.d_model == first.backbone.d_model


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("attention=dot",), "list"),
        ((["-m", "seed=1,2"],), "-m"),
        ((["seed=1,2"],), "-m"),
        (({"attention": "dott"},), "did you mean dot"),
        (({"optimizer.lrr": 1},), "lr"),
    ],
)
def test_what_is_no_run_is_refused_before_anything_is_written(tmp_path, monkeypatch, wrong, named):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=named) as found:
        ac.train(*(wrong[0] if isinstance(wrong[0], str) else one for one in wrong))
    assert "\n" not in str(found.value) and list(tmp_path.iterdir()) == []


def test_a_run_says_what_it_is_and_shows_itself_in_a_notebook(runs):
    run = Run.open(runs[0])
    loaded = ac.load(run)
    for shown in (repr(run), repr(loaded), run._repr_html_(), loaded._repr_html_()):
        assert all(
            word in shown for word in (run.path.name, "attention=dot", "task=translation", "seed=2", "exact match")
        )
    elsewhere = Run(run.path.parent / NAME, run.summary)
    object.__setattr__(elsewhere, "config", run.config)
    assert NAME not in elsewhere._repr_html_() and elsewhere._repr_html_().count("&lt;b&gt;x") == 2
    frame = loaded.to_frame()
    assert frame.index.name == "step" and len(frame) == len(loaded.run.metrics())
    assert frame["val/loss"].dropna().iloc[-1] == pytest.approx(loaded.run.summary["val"]["loss"])


def test_an_unfinished_run_says_how_far_it_is(runs, tmp_path):
    run = Run.open(runs[0])
    unfinished = Run(
        run.path, {key: value for key, value in run.summary.items() if key != "test"} | {"state": "failed"}
    )
    assert "failed" in repr(unfinished) and "exact match" not in repr(unfinished)


def test_runs_are_compared_as_objects_records_and_folders(runs):
    found = [ac.compare(given) for given in (list(runs), [ac.load(one) for one in runs], list(map(Run.open, runs)))]
    frames = [one.to_frame() for one in found]
    assert all(frame.equals(frames[0]) for frame in frames) and set(frames[0]["variant"]) == {"dot", "multihead"}
    assert ac.compare(runs[0]).to_frame()["variant"].unique().tolist() == ["dot"]
    assert ac.compare(runs, metric="loss", baseline="dot").tested[0].name == "loss"
    with pytest.raises(Refused, match="translation"):
        ac.compare(runs, task="nothing")


def test_compare_is_a_room_and_a_function(runs):
    import attncompare.compare.groups

    assert ac.compare is sys.modules["attncompare.compare"] and attncompare.compare.groups.Comparison
    assert "dot" in repr(ac.compare(runs))


def test_maps_of_a_text_are_drawn(runs):
    maps = ac.load(runs[1]).attention("abc")
    assert "cross" in repr(maps)
    site = maps.sites[-1]
    panels = [axes for axes in maps.plot().axes if axes.get_title()]
    assert len(panels) == site.layers * site.heads
    (image,) = panels[1].get_images()
    assert image.get_array().tolist() == pytest.approx(site.weights_LHTS[0, 1], abs=1e-6)
    assert [label.get_text() for label in panels[0].get_xticklabels()] == list(site.keys)
    (one,) = [axes for axes in maps.plot("encoder_self", layer=1, head=2).axes if axes.get_title()]
    assert "head 2" in one.get_title()
    for wrong in ({"site": "x"}, {"layer": 2}, {"head": 0}):
        with pytest.raises(Refused):
            maps.plot(**wrong)


def test_words_that_training_has_not_seen_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = [one for one in OVERRIDES if not one.startswith("data=")]
    run = ac.train([*small, "data=locale"], progress=None)
    assert run.unseen("three elephants and smartphone, elephants 1,234") == ["elephants", "smartphone"]
