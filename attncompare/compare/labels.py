"""What a variant is called in a comparison: its name, and where several share one, what sets them apart."""

from collections.abc import Sequence
from typing import Any

from attncompare.compare.identity import fingerprint
from attncompare.compare.options import is_free
from attncompare.config.plain_values import flatten
from attncompare.record import Run

_DATA = "data"  # no key of a config, all of whose data keys are longer
_NEVER = ("seed", "name", "notes", "runs", "tags", "tracking.")


def labels(runs: Sequence[Run], hidden: Sequence[str] = (), shown: Sequence[str] = ()) -> list[str]:
    """Return a different label for each of ``runs``, which are one of each variant.

    Args:
        runs: one run of each variant.
        hidden: keys that no label shows, because each variant has one value, which is told elsewhere.
        shown: keys that every label shows where they differ at all, also between variants of different names.
    """
    flats = [{**flatten(run.config.to_dict()), _DATA: fingerprint(run)} for run in runs]
    return [_label(flat, flats, hidden, shown) for flat in flats]


def _label(flat: dict[str, Any], flats: list[dict[str, Any]], hidden: Sequence[str], shown: Sequence[str]) -> str:
    alike = [other for other in flats if other["attention.name"] == flat["attention.name"]]
    keys = [key for key in flat if not is_free(key, (*_NEVER, *hidden))]
    apart = [key for key in keys if _differ(key, flat, flats if is_free(key, shown) else alike)]
    return " ".join([flat["attention.name"], *(f"{_short(key)}={_written(key, flat[key])}" for key in apart)])


def _differ(key: str, flat: dict[str, Any], others: list[dict[str, Any]]) -> bool:
    """Compare values as they are written, as in a model's identity: 0.0 and -0.0 are two settings."""
    return any(repr(other.get(key)) != repr(flat[key]) for other in others)


def _written(key: str, value: Any) -> str:
    return str(value)[:8] if key == _DATA else str(value)


def _short(key: str) -> str:
    return key.removeprefix("attention.").removeprefix("data.tokenizer.")
