"""Yaml and JSON of unknown origin as plain values: numbers, texts, lists, mappings, and nothing that runs or explodes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import yaml

from attncompare.errors import Refused

CALLS = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")
"""The keys with which Hydra builds objects."""

_DEEPEST = 50  # levels of nesting; a config has four
_REFERENCE = re.compile(r"\$\{\.*[A-Za-z_]\w*(?:\.\w+)*\}")
_SURROGATE = re.compile(r"\\[uU](?:0000)?[dD][89a-fA-F]")
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map"))


def safe_json(content: bytes, what: str | Path) -> Any:
    """Return the value of JSON text; ``what`` names its file.

    Refused is what is no JSON in UTF-8, nested beyond reason, or holds a whole number of more than 20 digits or half a
    character. NaN and Infinity are values: the loss and perplexity of a model that failed.
    """
    text = _text(content, what)
    try:
        value = json.loads(text, parse_int=_whole)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # fails where an escape was half a character
    except RecursionError:
        raise Refused(f"{what}: damaged (nested too deeply)") from None
    except ValueError as error:
        raise Refused(f"{what}: damaged ({error})") from None
    return value


def safe_yaml(content: bytes, what: str | Path) -> Any:
    """Return the value of yaml text that holds plain values alone; ``what`` names its file.

    Refused is what is no yaml in UTF-8, holds a tag, an anchor or an alias (a few lines of them can unfold into
    gigabytes), a key twice, or is nested beyond reason.
    """
    text = _text(content, what)
    try:
        _check_events(text, what)
        value = yaml.load(text, _PlainLoader)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise Refused(f"{what}: {line}not readable as yaml ({error.problem})") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise Refused(f"{what}: not readable as yaml ({str(error).splitlines()[0]})") from None
    return value


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is no list and no mapping with its dotted path, and every key as ``(path, key)`` too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{key}" if path else str(key)
            yield here, key
            yield from leaves(inner, here)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{number}" if path else str(number))
    else:
        yield path, value


def check_references(values: Any, where: str) -> None:
    """Refuse all but plain references such as ``${seed}``, and every key that would build an object.

    An environment variable read into a config would end up in a shared record. ``where`` begins the message.
    """
    for key, value in leaves(values):
        here = f"{where}: {key}" if key else where
        if value in CALLS:
            raise Refused(f"{here}: configs name things and build no objects, so that they can run nothing")
        if isinstance(value, str) and "${" in _REFERENCE.sub("", value):
            raise Refused(
                f"{here}: {value[:200]!r} is not read; valid are plain references to other keys, such as ${{seed}}: no "
                "environment variables, no functions"
            )


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one dict with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat.update(flatten(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return flat


class _PlainLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader without dates, which no config has, and without the second of two equal keys."""

    yaml_implicit_resolvers: ClassVar = {
        first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping, or refuse a key that stands twice: other readers would take the other one."""
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.constructor.ConstructorError(None, None, f"the key {key.value} twice", key.start_mark)
                keys.add(key.value)
        return super().construct_mapping(node, deep)


def _check_events(text: str, what: str | Path) -> None:
    depth = 0
    for event in yaml.parse(text, _PlainLoader):
        where = f"{what}: line {event.start_mark.line + 1}" if event.start_mark else str(what)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Refused(f"{where}: yaml anchors and aliases are not read; write the value out")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!") and tag not in _PLAIN_TAGS:
            raise Refused(f"{where}: the yaml tag {tag} is not read; valid: plain values")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise Refused(f"{where}: nested more than {_DEEPEST} levels deep")


def _text(content: bytes, what: str | Path) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise Refused(f"{what}: damaged (not UTF-8: byte {error.start + 1} is 0x{content[error.start]:02x})") from None
    if "\0" in text:
        raise Refused(f"{what}: damaged (a NUL byte at character {text.index(chr(0)) + 1})")
    return text


def _whole(digits: str) -> int:
    if len(digits) > 21:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)
