"""From what the libraries say of a bad config to one line for a person: the key, the value, what would be valid."""

import json
import re
import traceback
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from attncompare.registry import nearest, unknown

HYDRA_ERRORS: tuple[type[Exception], ...] = (HydraException, OmegaConfBaseException)
"""The exceptions with which Hydra and OmegaConf refuse a config."""

_LONGEST = 200  # characters of a value in a message
_MOST_PROBLEMS = 5  # in one line


def raised_by_hydra(error: Exception) -> bool:
    """Return whether ``error`` comes from Hydra's own checks of odd overrides, such as attention=1, which are bare."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_globals.get("__name__", "").startswith(("hydra.", "omegaconf."))


def explain(error: ValidationError) -> str:
    """Return the problems of ``error`` in one line: keys that are missing as one, and of many problems the first."""
    problems = error.errors(include_url=False)
    missing = [".".join(map(str, problem["loc"])) for problem in problems if problem["type"] == "missing"]
    several = len(missing) > 1
    said = [_problem(problem) for problem in problems if not several or problem["type"] != "missing"]
    if several:
        said.append(f"{len(missing)} keys are missing, first: {missing[0]}")
    said = list(dict.fromkeys(said))
    more = [f"and {len(said) - _MOST_PROBLEMS} more"] if len(said) > _MOST_PROBLEMS else []
    return "; ".join([*said[:_MOST_PROBLEMS], *more])


def explain_hydra(error: Exception) -> str:
    """Return in one line why Hydra could not compose a config."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return unknown(group, name, error.options)
    if isinstance(error, OverrideParseException):
        override = shown(error.override)
        return f"cannot read '{override}'; write key=value, with quotes around a value that holds any of ,;:[]{{}}()"
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
    # Where a key is wrong, pydantic says so behind it, and gives the key as the input.
    key, value, context = ".".join(map(str, problem["loc"])), problem["input"], problem.get("ctx", {})
    key, of_key = key.removesuffix(".[key]"), key.endswith(".[key]")
    given = key if of_key else f"{key}={shown(value)}"
    match problem["type"]:
        case "value_error":
            text = str(context["error"])
            told = not key or isinstance(value, dict) or f"'{value}'" in text
            return f"{key}: {text}" if told and key else text if told else f"{given}: {text}"
        case "unknown_key":
            keys = [f"{key}.{name}" if key else name for name in context["valid"].split(",")]
            return unknown("key", f"{key}.{context['key']}" if key else context["key"], keys)
        case "missing":
            return f"{key}: missing: it must be given, as it has no default"
        case "unknown_part":
            return unknown(f"{key}.name", context["name"], context["valid"].split(","))
        case "literal_error":
            close = nearest(value, re.findall(r"'([^']+)'", context["expected"]))
            valid = context["expected"].replace("'", "")
            return f"{given}: must be {valid}" + (f" (did you mean {close}?)" if close else "")
    return f"{given}: {_PLAIN.get(problem['type'], problem['msg'])}"


_PLAIN = {
    "bool_type": "must be true or false",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list, such as [a,b]",
    "too_long": "has too many values",
    "dict_type": "must be a section with keys of its own, not a value",
    "model_type": "must be a section with keys of its own, not a value",
    "model_attributes_type": "must be a section with keys of its own, not a value",
}


def shown(value: Any) -> str:
    """Return ``value`` as one would write it on the command line, cut where it is long, without control characters."""
    text = value if isinstance(value, str) and value and value.isprintable() else json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0]
