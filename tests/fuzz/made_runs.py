"""Runs that were never trained: a config and figures, as the comparison reads them."""

import copy
import functools
from dataclasses import dataclass
from pathlib import Path

from commands import composed_config

from attncompare.config import RunConfig, parse


@dataclass(frozen=True)
class MadeRun:
    """What a comparison needs of a finished run."""

    path: Path
    config: RunConfig
    summary: dict
    rows: tuple = ()
    state: str = "finished"

    def metrics(self):
        return list(self.rows)

    def predictions(self):
        return []

    def items(self):
        return []

    def environment(self):
        return {}

    def require_finished(self):
        return self


@functools.cache
def _base(overrides):
    return composed_config("runs", overrides).to_dict()


def base_values(*overrides):
    """Return the whole config of ``overrides`` as plain containers, to be changed at will."""
    return copy.deepcopy(_base(overrides))


def changed(values, changes):
    """Set dotted keys in ``values`` and return them."""
    for key, value in changes.items():
        *sections, name = key.split(".")
        section = values
        for part in sections:
            section = section[part]
        section[name] = value
    return values


def made_run(number, overrides, changes, **facts):
    """Return a finished run with the config of ``overrides`` and ``changes``; ``facts`` are test, cost and rows."""
    config = parse(changed(base_values(*overrides), changes))
    summary = {"test": facts["test"], "cost": facts["cost"], "data": {"fingerprint": "f" * 64}, "signatures": {}}
    return MadeRun(Path(f"runs/{number}"), config, summary, tuple(facts.get("rows", ())))
