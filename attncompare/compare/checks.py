"""Which runs may be compared: finished ones that differ in nothing but the variant and the seed."""

import json
from collections.abc import Sequence
from typing import Any

from attncompare.errors import Refused
from attncompare.tracking.record import Run

COMPARED = ("attention", "seed")
_FINGERPRINT = "the data's fingerprint"


def require_finished(runs: Sequence[Run]) -> None:
    """Refuse runs that have no final figures.

    Raises:
        Refused: names the first such run, its state, and how many more there are.
    """
    unfinished = [run for run in runs if run.state != "finished"]
    if len(unfinished) > 1:
        others = ", ".join(f"{run.path} is {run.state}" for run in unfinished)
        raise Refused(
            f"{len(unfinished)} of {len(runs)} runs have not finished: {others}; leave them out or train them again"
        )
    if unfinished:
        unfinished[0].require_finished()


def differences(runs: Sequence[Run]) -> dict[str, list[tuple[Any, Run]]]:
    """Return what differs among ``runs`` beyond the compared axes: each key with its values, and a run for each."""
    found: dict[str, list[tuple[Any, Run]]] = {}
    settings = [(_settings(run), run) for run in runs]
    for key in dict.fromkeys(key for values, _ in settings for key in values):
        seen: dict[str, tuple[Any, Run]] = {}
        for values, run in settings:
            value = values.get(key)
            seen.setdefault(json.dumps(value), (value, run))
        if len(seen) > 1:
            found[key] = list(seen.values())
    return found


def check_equal_footing(runs: Sequence[Run], force: bool) -> list[str]:
    """Refuse runs of one task that differ in more than the compared axes; with ``force``, say the differences instead.

    Raises:
        Refused: names each differing key with its values.
    """
    found = [f"{key} is {_values(values)}" for key, values in differences(runs).items()]
    if found and not force:
        axes = " and ".join(COMPARED)
        raise Refused(f"the runs differ in more than {axes}: {'; '.join(found)}; --force compares them all the same")
    return [f"not on equal footing: {difference}" for difference in found]


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one dict with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat.update(flatten(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return flat


def _settings(run: Run) -> dict[str, Any]:
    """Return all of a run that must be equal: its config without the compared axes, and which data it saw."""
    kept = {key: value for key, value in run.config.settings().items() if key not in COMPARED}
    return {**flatten(kept), _FINGERPRINT: run.summary["data"]["fingerprint"]}


def _values(values: list[tuple[Any, Run]]) -> str:
    return " or ".join(f"{_plain(value)} ({run.path})" for value, run in values)


def _plain(value: Any) -> str:
    return value[:16] if isinstance(value, str) and len(value) == 64 else json.dumps(value).strip('"')
