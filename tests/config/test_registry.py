"""Parts are refused where what they declare is no name that there is."""

from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from attncompare import registry
from attncompare.data.dataset import Dataset
from attncompare.errors import Refused
from attncompare.model import Backbone, BackboneConfig
from attncompare.model.backbones.recurrent import Recurrent
from attncompare.tasks.language_model import LanguageModel


class UnknownPlace(Backbone):
    Config = BackboneConfig
    places: ClassVar = {"text": ("decoder",)}


class UnknownKind(Dataset):
    kind = "pairs"

    def load(self):
        raise NotImplementedError


class UnknownArchitecture(LanguageModel):
    architecture = "encoder"


@pytest.mark.parametrize(
    ("kind", "part", "valid"),
    [
        ("backbones", UnknownPlace, "decoder_only"),
        ("datasets", UnknownKind, "parallel"),
        ("tasks", UnknownArchitecture, "encoder_only"),
    ],
)
def test_a_part_that_declares_a_name_that_is_none_is_refused_with_those_there_are(kind, part, valid, monkeypatch):
    entry = EntryPoint("odd", f"{__name__}:{part.__name__}", f"attncompare.{kind}")
    monkeypatch.setattr(registry, "_entries", lambda _: {"odd": entry})
    with pytest.raises(Refused, match=rf"{part.__name__}\..*; valid: .*{valid}"):
        registry.load(kind, "odd")


def test_a_backbone_that_names_some_places_has_the_usual_ones_elsewhere():
    assert Recurrent.places["encoder_decoder"] == ("cross",)
    assert Recurrent.places["encoder_only"] == Backbone.places["encoder_only"]
