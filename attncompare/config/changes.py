"""Other values for a recorded config's section ``data``, as ``--data KEY=VALUE`` asks for them."""

from collections.abc import Sequence
from typing import Any

from attncompare.config.plain_values import safe_yaml
from attncompare.errors import Refused
from attncompare.registry import unknown


def with_data(values: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return the values of a config with others in its section ``data``.

    Raises:
        Refused: if a change is not ``KEY=VALUE``, or its key none of this data or one of the tokenizer.
    """
    if not changes:
        return values
    data = values.get("data")
    if not isinstance(data, dict):
        raise Refused(f"--data {changes[0]}: the run's config has no section data")
    keys = [key for key in data if key not in ("name", "tokenizer")]
    return {**values, "data": {**data, **dict(_change(change, keys, data.get("name")) for change in changes)}}


def _change(change: str, keys: list[str], name: Any) -> tuple[str, Any]:
    key, equals, text = change.partition("=")
    if not equals:
        raise Refused(f"--data {change}: write KEY=VALUE; valid keys: {', '.join(keys)}")
    if key.split(".")[0] == "tokenizer":
        raise Refused(f"--data {change}: the model knows no tokenizer but that of its run")
    if key == "name":
        raise Refused(f"--data {change}: the run's data are data={name}, with other keys")
    if key not in keys:
        raise Refused(unknown("key of --data", key, keys))
    return key, safe_yaml(text.encode(), f"--data {key}")
