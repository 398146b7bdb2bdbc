"""From what the libraries say of a bad config to one line for a person: the key, the value, what would be valid."""

import json
import re
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from attncompare.registry import nearest, unknown

HYDRA_ERRORS: tuple[type[Exception], ...] = (HydraException, OmegaConfBaseException)
"""The exceptions with which Hydra and OmegaConf refuse a config."""


def explain(error: ValidationError) -> str:
    """Return all problems of ``error`` in one line."""
    return "; ".join(dict.fromkeys(map(_problem, error.errors(include_url=False))))


def explain_hydra(error: Exception) -> str:
    """Return in one line why Hydra could not compose a config."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return unknown(group, name, error.options)
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read '{error.override}'; write key=value, with quotes around a value that holds any of ,:[]{{}}()"
        )
    text = str(error)
    if several := re.match(r"Ambiguous value for argument '(.+)'", text):
        return f"{several[1]}: several values need -m, which trains one model for each of them"
    if isinstance(error, OmegaConfBaseException):
        return f"{error.full_key}: {_first_line(text)}" if error.full_key else _first_line(text)
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OmegaConfBaseException):
        return _override_problem(text, cause)
    return " ".join(line for line in text.splitlines() if line and not line.startswith("To append"))


def _override_problem(text: str, cause: OmegaConfBaseException) -> str:
    override = re.match(r"Could not override '([^']+)'", text)
    if not override:
        return f"{_first_line(text)}: {_first_line(str(cause))}"
    section, _, _ = (cause.full_key or "").rpartition(".")
    keys = [str(key) for key in cause.parent_node or () if key != "hydra"]
    if not keys:
        return f"unknown key '{override[1]}': {section} is a value, with no keys of its own"
    return unknown("key", override[1], [f"{section}.{key}" if section else key for key in keys])


def _problem(problem: Any) -> str:
    key, value, context = _key(problem["loc"]), problem["input"], problem.get("ctx", {})
    match problem["type"]:
        case "value_error":
            text = str(context["error"])
            told = not key or isinstance(value, dict) or f"'{value}'" in text
            return f"{key}: {text}" if told and key else text if told else f"{key}={_shown(value)}: {text}"
        case "unknown_key":
            keys = [f"{key}.{name}" if key else name for name in context["valid"].split(",")]
            return unknown("key", f"{key}.{context['key']}" if key else context["key"], keys)
        case "missing":
            return f"{key}: missing; a key may be changed, but not removed"
        case "union_tag_invalid":
            return unknown(f"{key}.name", context["tag"], re.findall(r"'([^']+)'", context["expected_tags"]))
        case "literal_error":
            return f"{key}={_shown(value)}: {_one_of(value, context['expected'])}"
    return f"{key}={_shown(value)}: {_PLAIN.get(problem['type'], problem['msg'])}"


_PLAIN = {
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list, such as [a,b]",
    "too_long": "has too many values",
    "model_type": "must be a section with keys of its own, not a value",
    "model_attributes_type": "must be a section with keys of its own, not a value",
}

# Sections whose schema is chosen by `name`: pydantic puts the choice into the path, where no key stands.
_CHOSEN_BY_NAME = ("task", "data")


def _key(location: tuple[int | str, ...]) -> str:
    parts = [str(part) for part in location]
    if len(parts) > 1 and parts[0] in _CHOSEN_BY_NAME:
        del parts[1]
    return ".".join(parts)


def _shown(value: Any) -> str:
    """Return ``value`` as one would write it on the command line."""
    return value if isinstance(value, str) and value else json.dumps(value)


def _one_of(value: Any, expected: str) -> str:
    close = nearest(value, re.findall(r"'([^']+)'", expected))
    return f"must be {expected.replace(chr(39), '')}" + (f" (did you mean {close}?)" if close else "")


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0]
