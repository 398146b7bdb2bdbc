"""Models around the attention module; they know no variant by name and no task.

base.py            sizes, attention sites, costs: what every backbone has
backbones/         one file for each backbone, with its settings
initialization.py  initial values from seed and parameter name
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
    "initialize",
    "new_model",
    "parameter_count",
    "stable_seed",
    "train_flops_per_token",
]
