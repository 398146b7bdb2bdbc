"""The section ``data`` of a config, from its file in conf/ with some values changed."""

import json

import torch
import yaml

from attncompare.config import CONF_DIR
from attncompare.registry import load


def data_config(name, **changes):
    """Return the typed section; ``splits`` and ``tokenizer`` take a dict of those keys that differ."""
    values = yaml.safe_load((CONF_DIR / "data/base/dataset.yaml").read_text())["data"]
    own = yaml.safe_load((CONF_DIR / "data" / f"{name}.yaml").read_text())
    for layer in ({key: value for key, value in own.items() if key != "defaults"}, changes):
        values |= {
            key: values[key] | one if isinstance(one, dict) and values.get(key) else one for key, one in layer.items()
        }
    return load("datasets", name).Config.model_validate_json(json.dumps(values))


def dataset(name, data_seed=1, **changes):
    """Return the dataset of such a section."""
    return load("datasets", name)(data_config(name, **changes), data_seed)


def same_batch(one, other):
    """Return whether two batches hold the same tensors and the same share of their step."""
    pairs = zip(one, other, strict=True)
    return all(torch.equal(*pair) if isinstance(pair[0], torch.Tensor) else pair[0] == pair[1] for pair in pairs)
