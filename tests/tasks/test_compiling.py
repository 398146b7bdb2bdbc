"""``trainer.compile``: other kernels, the same training; and what cannot be compiled is refused."""

import pytest
import torch
from commands import SMOKE
from outcomes import assert_same
from safetensors.torch import load_file

from attncompare.errors import Refused
from attncompare.tasks import compiling
from attncompare.training.run import resume, train

RECALL = (
    *(
        "trainer=smoke",
        "trainer.threads=1",
        "task=language_model",
        "data=recall",
        "data.length=24",
        "tracking=disabled",
    ),
    *("data.train_size=100", "data.val_size=20", "data.test_size=20", "backbone.d_model=16", "backbone.layers=1"),
    *("trainer.max_steps=4", "trainer.validate_every=2", "trainer.limit_batches=3", "attention.heads=3"),
)
WITHOUT_DROPOUT = ("backbone.dropout=0", "attention.dropout=0")
CLOCK = ("train/tokens_per_second", "train/seconds")


def assert_same_to_rounding(run, other):
    for first, second in zip(run.metrics(), other.metrics(), strict=True):
        figures = [{key: value for key, value in row.items() if key not in CLOCK} for row in (first, second)]
        assert figures[0] == pytest.approx(figures[1], rel=1e-4)
    weights = [load_file(one.path / "checkpoints" / "last.safetensors") for one in (run, other)]
    assert weights[0].keys() == weights[1].keys()


@pytest.mark.parametrize("variant", ["additive", "scaled"])  # with a kernel that is left alone, and compiled whole
def test_compiled_it_learns_the_same_and_the_record_says_so(make_config, variant):
    overrides = (*RECALL, *WITHOUT_DROPOUT, f"attention={variant}")
    plain, compiled = (train(make_config(*overrides, f"trainer.compile={yes}")) for yes in ("false", "true"))
    assert_same_to_rounding(compiled, plain)
    assert (plain.config.trainer.compile, compiled.config.trainer.compile) == (False, True)


def test_the_kernels_are_those_of_the_compiler(make_config, monkeypatch):
    made = []
    original = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **how: made.append(how) or original(function, **how))
    train(make_config(*RECALL, *WITHOUT_DROPOUT, "attention=additive"))
    assert made == []
    train(make_config(*RECALL, *WITHOUT_DROPOUT, "attention=additive", "trainer.compile=true"))
    assert made == [{"dynamic": False}]


@pytest.mark.long
def test_stopped_and_resumed_it_is_the_same_run(make_config):
    config = make_config(*RECALL, "backbone.dropout=0.3", "attention.dropout=0.2", "trainer.compile=true")
    reference = train(config)
    assert_same(resume(train(config, stop_after=3).path), reference)


@pytest.mark.long
def test_batches_of_many_shapes_are_compiled_too(make_config):
    overrides = (*SMOKE, *WITHOUT_DROPOUT, "trainer.deterministic=false", "tracking=disabled")
    plain, compiled = (train(make_config(*overrides, f"trainer.compile={yes}")) for yes in ("false", "true"))
    assert_same_to_rounding(compiled, plain)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("trainer.compile=true",), "trainer.compile=true with task=translation: .*; add trainer.deterministic=false"),
        (("trainer.compile=true", "trainer.devices=2", "trainer.deterministic=false"), "set devices=1"),
    ],
)
def test_what_cannot_keep_its_promises_is_refused(make_config, overrides, words):
    with pytest.raises(Refused, match=words):
        make_config(*SMOKE, *overrides)


@pytest.mark.parametrize(("cuda", "missing"), [(False, r"a C\+\+ compiler"), (True, "triton")])
def test_without_a_compiler_it_is_refused_before_anything_is_written(make_config, monkeypatch, cuda, missing):
    monkeypatch.setattr(compiling, "cpp_compiler", lambda: None)
    monkeypatch.setattr(compiling, "at_hand", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    config = make_config(*RECALL, "trainer.compile=true", "trainer.accelerator=auto")
    with pytest.raises(Refused, match=f"^trainer.compile=true: torch.compile needs {missing}, and there is none"):
        compiling.require_compiler(config)
