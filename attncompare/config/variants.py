"""The named variants, the yamls of the group ``attention``: their order, and what a run's attention is called."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from attncompare.config.messages import HYDRA_ERRORS
from attncompare.config.own_configs import loader
from attncompare.config.plain_values import flatten
from attncompare.config.schema import CONF_DIR, OPEN_SECTIONS, UNNAMED_PARTS, AttentionConfig
from attncompare.errors import Refused

_PLACES = ("sites", "layers")
_PARTS = tuple(key for key in OPEN_SECTIONS if key not in _PLACES)
_UNCOMPOSED: tuple[type[Exception], ...] = (*HYDRA_ERRORS, ValidationError, Refused)
_LONGEST = 80  # characters of a label in the name of a file, which may have 255
_own: list[Path] = []  # the folder of own configs, if there is one


@cache
def variant_names() -> tuple[str, ...]:
    """Return the names of the variants in ``conf/attention``, in the order in which they are listed everywhere.

    Own configs are not among them: place and color of a variant are the same where they are read without their folder.
    """
    return tuple(sorted(file.stem for file in (CONF_DIR / "attention").glob("*.yaml")))


def variant_place(name: str) -> tuple[int, str]:
    """Return what sorts names of variants: those of ``conf/attention`` in their order, then all others by name."""
    names = variant_names()
    return (names.index(name) if name in names else len(names), name)


def variant_label(attention: AttentionConfig, hidden: Collection[str] = ()) -> str:
    """Return what a variant is: the yaml with the same settings, else the nearest one and what differs, "dot window=16".

    The nearest yaml differs in the fewest settings; of several it is that of the run's own name, else the first. Two
    labels are equal only where all settings are, but for the name.

    ``hidden`` are keys that are told elsewhere, such as ``attention.heads``.
    """
    now = _settings(attention)
    own = _composed((attention.name,), *_own).get(attention.name)
    if now == own and repr(now) == repr(own):
        return attention.name
    places = {name: place for place, name in enumerate(_all_names(*_own))}
    bases = _composed(tuple(places), *_own)
    found = {name: _changed(attention, now, base) for name, base in bases.items() if _keeps_places(now, base)}
    shown = {name: [key for key in changed if f"attention.{key}" not in hidden] for name, changed in found.items()}
    near = min(shown, key=lambda name: (len(shown[name]), name != attention.name, len(found[name]), places[name]))
    names = short_keys({_inside(key)[1] for key in (*now, *bases[near])})
    told = [f"{_inside(key)[0]}{names[_inside(key)[1]]}={written(now[key])}" for key in shown[near]]
    return " ".join([near, *told])


def _keeps_places(now: dict[str, Any], base: dict[str, Any]) -> bool:
    """Return whether there are settings for each site and layer for which ``base`` has some."""
    return all(key in now for key in base if key.split(".")[0] in _PLACES)


def _changed(attention: AttentionConfig, now: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Return the keys in which the settings ``now`` of ``attention`` differ from those ``before``.

    Of a part that was another one before, those differ that are not the part's defaults.
    """
    for part in _PARTS:
        name = f"{part}.name"
        if now[name] != before[name]:
            # A section without a name is this part, so that its settings say enough.
            told = before[name] is None and now[name] == UNNAMED_PARTS.get(part)
            before = {key: value for key, value in before.items() if not key.startswith(f"{part}.")}
            before |= _defaults(part, getattr(attention, part)) | ({name: now[name]} if told else {})
    # Compared as they are written: 0.0 and -0.0 are two settings.
    return [key for key, value in now.items() if key not in before or repr(before[key]) != repr(value)]


def _settings(attention: AttentionConfig) -> dict[str, Any]:
    """Return all settings but the name by key, each part as a section with a name, in one spelling: "mask.window"."""
    values = attention.model_dump(mode="json", exclude={"name"})
    places = [place for group in _PLACES for place in values[group].values()]
    for section in (values, *places):
        for part in _PARTS:
            if part in section and not isinstance(section[part], dict):
                section[part] = {"name": section[part]}
    return flatten(values)


def _defaults(part: str, section: Any) -> dict[str, Any]:
    """Return the settings that a part has by default, by key."""
    declared = type(section).model_fields if section is not None else {}
    values = {key: one.get_default(call_default_factory=True) for key, one in declared.items() if not one.is_required()}
    return flatten({part: to_jsonable_python(values)})


def _inside(key: str) -> tuple[str, str]:
    """Return where a setting holds, as a label shows it, and its key there: ("layer1.", "mask.window")."""
    group, _, rest = key.partition(".")
    place, _, inner = rest.partition(".")
    return (f"{'layer' if group == 'layers' else ''}{place}.", inner) if group in _PLACES else ("", key)


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return the last word of each key where no other one has it too; the name of a part goes by the part's own key."""
    full = {key: key.removesuffix(".name") for key in keys}
    ends = Counter(one.rpartition(".")[2] for one in full.values())
    return {key: one.rpartition(".")[2] if ends[one.rpartition(".")[2]] == 1 else one for key, one in full.items()}


def written(value: Any) -> str:
    """Return a value as one writes it on the command line; a text that has spaces is quoted."""
    if isinstance(value, float) and value.is_integer():
        return f"{value:g}"
    return value if isinstance(value, str) and re.fullmatch(r"[^\s=]+", value) else json.dumps(value)


def variant_in_file_names(attention: AttentionConfig) -> str:
    """Return the label without the heads, of characters that need no quotes: "dot-window-16"."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", variant_label(attention, ("attention.heads",)))[:_LONGEST]


def also_in(folder: Path | None) -> None:
    """Take the variants of ``folder``, one of own configs, for named ones too, as long as this process lives.

    None: there is no such folder, as where a record is read. There a variant that it named is called by the nearest yaml.
    """
    _own[:] = [] if folder is None else [folder]


@cache
def _all_names(*own: Path) -> tuple[str, ...]:
    """Return the names of ``conf/attention`` in their order, then those of installed packages and of own configs."""
    others = set(loader(*own).repository.get_group_options("attention")).difference(variant_names())
    return (*variant_names(), *sorted(others))


@cache
def _composed(names: tuple[str, ...], *own: Path) -> dict[str, dict[str, Any]]:
    """Return by name the settings that ``attention=NAME`` composes; left out are those that cannot be composed.

    All are composed at once, which takes a tenth of the time.
    """
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    overrides = [f"+attention@named.v{place}='{name}'" for place, name in enumerate(names)]
    try:
        composed = loader(*own).load_configuration(None, overrides, run_mode=RunMode.RUN, from_shell=False)
        sections = [OmegaConf.to_container(composed.named[f"v{place}"], resolve=True) for place in range(len(names))]
        # Through JSON, as a whole config is: the numbers of layers are texts there.
        settings = [_settings(AttentionConfig.model_validate_json(json.dumps(section))) for section in sections]
    except _UNCOMPOSED:  # one has no yaml, is of another version, or lacks its package
        if len(names) == 1:
            return {}
        return {name: found for one in names for name, found in _composed((one,), *own).items()}
    return dict(zip(names, settings, strict=True))
