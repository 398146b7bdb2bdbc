"""Models around the attention module; they know no variant by name and no task.

base.py            sizes, attention sites, costs: what every backbone has
backbones/         one file for each backbone, with its settings
initialization.py  initial values from seed and parameter name
"""

from attncompare.model.base import Lengths, ModelOutput, Site, Vocabulary, parameter_count, train_flops_per_token
from attncompare.model.initialization import initialize, stable_seed

__all__ = [
    "Lengths",
    "ModelOutput",
    "Site",
    "Vocabulary",
    "initialize",
    "parameter_count",
    "stable_seed",
    "train_flops_per_token",
]
