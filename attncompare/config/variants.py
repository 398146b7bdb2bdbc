"""The named variants, the yamls of the group ``attention``: their order, and what a run's attention is called."""

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from attncompare.config.messages import HYDRA_ERRORS
from attncompare.config.own_configs import loader
from attncompare.config.plain_values import flatten
from attncompare.config.schema import CONF_DIR, AttentionConfig
from attncompare.errors import Refused

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


def changed_settings(attention: AttentionConfig) -> dict[str, Any] | None:
    """Return the settings in which ``attention`` differs from the yaml of its name, by key (``attention.heads``).

    None: no yaml has that name. A score that the yaml does not name differs from its own defaults only.
    """
    base = _as_named(attention.name, *_own)
    if base is None:
        return None
    if base["score"]["name"] != attention.score.name:
        try:
            default = AttentionConfig.model_validate({**attention.model_dump(), "score": attention.score.name})
            base = {**base, "score": {**default.model_dump(mode="json")["score"], "name": base["score"]["name"]}}
        except (ValidationError, Refused):  # it has settings without defaults
            base = {**base, "score": {"name": base["score"]["name"]}}
    before = flatten({"attention": base})
    # Compared as they are written: 0.0 and -0.0 are two settings.
    now = flatten({"attention": attention.model_dump(mode="json")})
    return {key: value for key, value in now.items() if key not in before or repr(before[key]) != repr(value)}


def variant_label(attention: AttentionConfig, hidden: Collection[str] = ()) -> str:
    """Return the name of a variant and what differs from the yaml of that name: "scaled score=dot".

    ``hidden`` are keys that are told elsewhere, such as ``attention.heads``.
    """
    changed = changed_settings(attention) or {}
    return " ".join([attention.name, *(setting(key, changed[key]) for key in changed if key not in hidden)])


def setting(key: str, value: Any) -> str:
    """Return a setting as labels show it: "heads=12" for ``attention.heads``."""
    short = key.removeprefix("attention.").removeprefix("data.tokenizer.")
    return f"{'score' if short == 'score.name' else short}={value}"


def variant_in_file_names(attention: AttentionConfig) -> str:
    """Return the label without the heads, of characters that need no quotes: "scaled-score-dot"."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", variant_label(attention, ("attention.heads",)))[:_LONGEST]


def also_in(folder: Path | None) -> None:
    """Take the variants of ``folder``, one of own configs, for named ones too, as long as this process lives.

    None: there is no such folder, as where a record is read. There a variant that it named is called by that name alone.
    """
    _own[:] = [] if folder is None else [folder]


@cache
def _as_named(name: str, *own: Path) -> dict[str, Any] | None:
    """Return the section that ``attention=name`` composes, None where that is none."""
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    overrides = [f"+attention='{name}'"]
    try:
        composed = loader(*own).load_configuration(None, overrides, run_mode=RunMode.RUN, from_shell=False)
        values = OmegaConf.to_container(composed.attention, resolve=True)
        return AttentionConfig.model_validate(values).model_dump(mode="json")
    except HYDRA_ERRORS:  # no yaml has that name
        return None
    except (ValidationError, Refused):  # it is that of another version, or of a package that is gone
        return None
