"""The records behind a page: what differs between configs and environments, what was left out, how to repeat each run."""

import hashlib
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from attncompare.compare.groups import Comparison
from attncompare.config.plain_values import flatten

_LONGEST = 80  # characters of a value in a table of differences


@dataclass(frozen=True)
class Differences:
    """A small table of only what differs: one row for each key, one value for each column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Record:
    """All that the page says of the records; a run's ``environment`` is its column in ``environments``, from 1."""

    runs: tuple[dict[str, Any], ...]
    config: str
    configs: Differences
    environment: str
    environments: Differences


def record(comparison: Comparison) -> Record:
    """Return the facts of all runs of ``comparison``."""
    variants = comparison.variants
    environments: dict[str, dict[str, Any]] = {}
    runs = []
    for variant, run in [(one, run) for one in variants for run in one.runs]:
        environment = _written(run.environment())
        environments.setdefault(environment, run.environment())
        facts = {
            "variant": variant,
            "seed": run.config.seed,
            "command": f"attncompare reproduce {_readable(run.path)}",
            "hash": run.config.hash()[:6],
            "data": str(run.summary["data"]["fingerprint"])[:12],
            "environment": list(environments).index(environment) + 1,
        }
        runs.append(facts)
    first = variants[0].runs[0].config
    # The seed says nothing of a variant.
    settings = [{**flatten(one.runs[0].config.settings()), "seed": None} for one in variants]
    flat = list(map(flatten, environments.values()))
    return Record(
        tuple(runs),
        _yaml(first.to_dict()),
        _differences([variant.label for variant in variants], settings),
        _yaml(next(iter(environments.values()))),
        _differences([f"environment {number}" for number in range(1, len(flat) + 1)], flat),
    )


def _differences(columns: Sequence[str], values: Sequence[Mapping[str, Any]]) -> Differences:
    """Return the keys in which flat ``values`` differ, compared as they are written; a missing one is a dash."""
    table = [
        (key, tuple(_cell(one, key) for one in values)) for key in dict.fromkeys(key for one in values for key in one)
    ]
    return Differences(tuple(columns), tuple(row for row in table if len(set(row[1])) > 1))


def _readable(path: Path) -> str:
    """Return ``path`` as a command in the current folder would name it, quoted: such lines are copied into shells."""
    relative = os.path.relpath(path)
    return shlex.quote(str(path) if relative.startswith("..") else relative)


def _cell(values: Mapping[str, Any], key: str) -> str:
    """Return a value as a cell shows it; of a long text the beginning and a digest, which tells it from other ones."""
    if key not in values:
        return "–"
    text = values[key] if isinstance(values[key], str) else _written(values[key])
    if len(text) <= _LONGEST:
        return text or "empty"
    return f"{text[:_LONGEST]}… (SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:8]})"


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
