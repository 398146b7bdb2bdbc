"""The section ``data`` of a config, from its file in conf/ with some values changed."""

import json

import yaml
from pydantic import TypeAdapter

from attncompare.config import CONF_DIR
from attncompare.config.corpora import Data


def data_config(name, **changes):
    """Return the typed section; ``splits`` takes a dict of those names that differ."""
    values = yaml.safe_load((CONF_DIR / "data" / f"{name}.yaml").read_text())
    splits = {"splits": values["splits"] | changes.pop("splits", {})} if "splits" in values else {}
    return TypeAdapter(Data).validate_json(json.dumps(values | splits | changes))
