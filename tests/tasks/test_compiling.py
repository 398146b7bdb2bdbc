"""``trainer.compile``: other kernels, the same training; without a compiler it is refused."""

import pytest
import torch
from commands import SMOKE
from outcomes import assert_same
from safetensors.torch import load_file
from training_runs import LANGUAGE_MODEL, NO_TRACKING

from attncompare.attention.kernels import build
from attncompare.errors import Refused
from attncompare.training import run as training_run
from attncompare.training.run import resume, train

WITHOUT_DROPOUT = ("backbone.dropout=0", "attention.dropout=0")
CLOCK = ("train/tokens_per_second", "train/seconds")


def assert_compiled_as_plain(make_config, overrides):
    plain, compiled = (train(make_config(*overrides, f"trainer.compile={yes}")) for yes in ("false", "true"))
    for first, second in zip(compiled.metrics(), plain.metrics(), strict=True):
        figures = [{key: value for key, value in row.items() if key not in CLOCK} for row in (first, second)]
        assert figures[0] == pytest.approx(figures[1], rel=1e-4)
    weights = [load_file(one.path / "checkpoints" / "last.safetensors") for one in (plain, compiled)]
    assert weights[0].keys() == weights[1].keys()
    assert (plain.config.trainer.compile, compiled.config.trainer.compile) == (False, True)


# Additive scores have a kernel that the compiler leaves alone; scaled ones are compiled whole.
@pytest.mark.parametrize("variant", ["additive", pytest.param("scaled", marks=pytest.mark.long)])
def test_compiled_it_learns_the_same(make_config, monkeypatch, variant):
    made, compile_model = [], torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, **how: made.append(how) or compile_model(model, **how))
    assert_compiled_as_plain(make_config, (*LANGUAGE_MODEL, *WITHOUT_DROPOUT, f"attention={variant}"))
    assert made == [{"dynamic": False}]  # once, for the run that asks for it


@pytest.mark.long
def test_stopped_and_resumed_it_is_the_same_run(make_config):
    config = make_config(*LANGUAGE_MODEL, "trainer.compile=true")
    assert_same(resume(train(config, stop_after=3).path), train(config))


@pytest.mark.long
def test_batches_of_many_shapes_are_compiled_too(make_config):
    assert_compiled_as_plain(make_config, (*SMOKE, *WITHOUT_DROPOUT, *NO_TRACKING, "trainer.deterministic=false"))


@pytest.mark.parametrize(("cuda", "missing"), [(False, r"C\+\+ compiler"), (True, "triton")])
def test_without_a_compiler_it_is_refused_before_anything_is_written(make_config, monkeypatch, cuda, missing):
    monkeypatch.setattr(build, "cpp_compiler", lambda: None)
    monkeypatch.setattr(build, "has_triton", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    config = make_config(*LANGUAGE_MODEL, "trainer.compile=true", "trainer.accelerator=auto")
    with pytest.raises(Refused, match=f"trainer.compile=true.*{missing}.*trainer.compile=false"):
        training_run._require_compiler(config)
