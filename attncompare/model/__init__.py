"""Models around the attention module; they know no variant by name and no task.

base.py            sizes, attention sites, costs: what every backbone has
backbones/         one file for each backbone, with its settings
initialization.py  initial values from seed and parameter name
laws.py            what every model has to keep, checked on random tokens
"""

from attncompare.model.base import (
    Architecture,
    Backbone,
    BackboneConfig,
    EncoderModel,
    Lengths,
    MakeAttention,
    ModelOutput,
    PairModel,
    Site,
    TextModel,
    Vocabulary,
    by_layer,
    new_model,
    parameter_count,
    train_flops_per_token,
)
from attncompare.model.initialization import initialize, stable_seed
from attncompare.model.laws import check_model

__all__ = [
    "Architecture",
    "Backbone",
    "BackboneConfig",
    "EncoderModel",
    "Lengths",
    "MakeAttention",
    "ModelOutput",
    "PairModel",
    "Site",
    "TextModel",
    "Vocabulary",
    "by_layer",
    "check_model",
    "initialize",
    "new_model",
    "parameter_count",
    "stable_seed",
    "train_flops_per_token",
]
