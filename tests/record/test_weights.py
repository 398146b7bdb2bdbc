"""Weights are compared with their model by shapes alone before a number of either takes memory."""

import json
import struct

import pytest
import torch
from torch import nn

from attncompare.errors import Refused
from attncompare.record import load_weights, require_weights_of, save_weights, weights_from


def model(width=3, **options):
    return nn.Linear(width, 2, **options)


def header_only(tensors):
    """A file whose header promises tensors, and nothing behind it."""
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


def test_saved_weights_come_back(tmp_path):
    saved, loaded = model(), model()
    save_weights(tmp_path / "w", dict(saved.named_parameters()))
    load_weights(tmp_path / "w", loaded)
    assert all(torch.equal(a, b) for a, b in zip(saved.parameters(), loaded.parameters(), strict=True))


@pytest.mark.parametrize(
    "other", [model(4), model(bias=False), model(dtype=torch.float16)], ids=["wide", "few", "half"]
)
def test_weights_of_another_model_are_refused(other, tmp_path):
    save_weights(tmp_path / "w", dict(other.named_parameters()))
    mine = model()
    before = [parameter.clone() for parameter in mine.parameters()]
    with pytest.raises(Refused, match="not the weights of this config"):
        load_weights(tmp_path / "w", mine)
    assert all(torch.equal(a, b) for a, b in zip(before, mine.parameters(), strict=True))


@pytest.mark.parametrize("cut", [0, 4, 8, 60, -1])
def test_a_cut_file_is_refused(cut, tmp_path):
    save_weights(tmp_path / "w", dict(model().named_parameters()))
    with pytest.raises(Refused, match="w: "):
        weights_from((tmp_path / "w").read_bytes()[:cut], tmp_path / "w", model())


def test_promises_of_terabytes_take_no_memory(make_config, tmp_path):
    config = make_config("backbone.layers=1")
    wide = 2**20
    tensors = {"weight": [wide, wide], "bias": [wide]}
    offsets = {"weight": [0, 4 * wide * wide], "bias": [4 * wide * wide, 4 * wide * wide + 4 * wide]}
    content = header_only({n: {"dtype": "F32", "shape": s, "data_offsets": offsets[n]} for n, s in tensors.items()})
    with pytest.raises(Refused, match="2 differ"):
        require_weights_of(config, model, content, tmp_path / "w")
    require_weights_of(config, lambda: nn.Linear(wide, wide), content, tmp_path / "w")  # as shapes go they fit
    with pytest.raises(Refused, match="cannot be read as weights"):
        with torch.device("meta"):
            fitting = nn.Linear(wide, wide)
        weights_from(content, tmp_path / "w", fitting)


def test_more_layers_than_tensors_are_never_built(make_config, tmp_path):
    save_weights(tmp_path / "w", dict(model().named_parameters()))
    content = (tmp_path / "w").read_bytes()
    with pytest.raises(Refused, match="3 layers"):
        require_weights_of(make_config("backbone.layers=3"), pytest.fail, content, tmp_path / "w")
