"""From what the libraries say of a bad config to one line for a person: the key, the value, what would be valid."""

import re
from typing import Any

from hydra.errors import HydraException, MissingConfigException
from pydantic import ValidationError

from attncompare.registry import unknown


def explain(error: ValidationError) -> str:
    """Return the first problem of ``error`` in one line, and how many more there are."""
    problems = error.errors(include_url=False)
    line = _problem(problems[0])
    return line if len(problems) == 1 else f"{line} (and {len(problems) - 1} more)"


def explain_hydra(error: Exception) -> str:
    """Return in one line why Hydra could not compose a config."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return unknown(group, name, error.options)
    text = str(error)
    missing = re.search(r"Could not override '([^']+)'", text)
    cause = error.__cause__ or error.__context__
    if missing and cause is not None:
        full_key = missing.group(1)
        return f"{full_key}: {_first_line(str(cause))}"
    return _first_line(text)


def hydra_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions with which Hydra and OmegaConf refuse a config."""
    from omegaconf.errors import OmegaConfBaseException

    return (HydraException, OmegaConfBaseException)


def _problem(problem: Any) -> str:
    key, value = _key(problem["loc"]), problem["input"]
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}" if key else str(problem["ctx"]["error"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'"
    if problem["type"] == "missing":
        return f"{key}: missing"
    wanted = re.sub(r"^(Input|Value) should", "should", problem["msg"])
    return f"{key}={value}: {wanted}"


# Sections whose schema is chosen by `name`: pydantic puts the choice into the path, where no key stands.
_CHOSEN_BY_NAME = ("task", "data")


def _key(location: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in location]
    if len(parts) > 1 and parts[0] in _CHOSEN_BY_NAME:
        del parts[1]
    return ".".join(parts)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "the config cannot be composed"
