"""Exchangeable parts of attention made from their names: what is checked, and how errors are said."""

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import Generator, Tensor, nn

from attncompare.config.values import PartConfig
from attncompare.errors import Refused
from attncompare.registry import load

Section = str | Mapping[str, Any] | PartConfig
"""A part's name, or a section of its name and settings, ``{"name": ..., ...}``."""


class Part(nn.Module):
    """A part of the attention module; one with settings of its own declares them and takes them in its constructor.

    ::

        class Local(ScoreFunction):
            class Config(PartConfig):
                reach: int = 8

            def __init__(self, heads, head_dim, reach): ...

    One with parameters of its own also defines :meth:`initial_`.
    """

    class Config(PartConfig):
        """The settings of the part's section, beside its name: none."""

    def initial_(self, name: str, parameter: Tensor, generator: Generator | None) -> None:
        """Fill ``parameter``, called ``name``, with its initial values, drawn from ``generator``."""
        raise NotImplementedError


def make_part(kind: str, section: Section, *sizes: int) -> Any:
    """Return the part of ``kind`` that ``section`` names, made with ``sizes`` and its checked settings.

    Raises:
        Refused: for an unknown name, wrong settings, or a class that does not take what its kind is made with.
    """
    values = {"name": section} if isinstance(section, str) else section
    settings = dict(values.model_dump() if isinstance(values, PartConfig) else values)
    name, what = str(settings.get("name")), kind.removesuffix("s")
    chosen = load(kind, name)
    try:
        checked = chosen.Config.model_validate(settings).model_dump(exclude={"name"})
    except ValidationError as error:
        raise Refused(f"{what} '{name}': {_first(error)}") from None
    try:
        inspect.signature(chosen).bind(*sizes, **checked)
    except TypeError as error:
        given = ("heads", "head_dim")[: len(sizes)]
        wanted = ", ".join((*given, *checked))
        raise Refused(f"{what} '{name}': {chosen.__name__}.__init__ must take ({wanted}): {error}") from None
    made = chosen(*sizes, **checked)
    parameters = [parameter for parameter, _ in made.named_parameters(recurse=False)]
    if parameters and chosen.initial_ is Part.initial_:
        raise Refused(
            f"{what} '{name}': {chosen.__name__} must define initial_ for its parameters {', '.join(parameters)}"
        )
    return made


def _first(error: ValidationError) -> str:
    """Return the first problem of a section in one line: key, value and what would be valid."""
    found = error.errors()[0]
    context: dict[str, Any] = found.get("ctx", {})
    if found["type"] == "unknown_key":
        return f"unknown setting {context['key']}; valid: {context['valid']}"
    key = ".".join(map(str, found["loc"]))
    return f"{key}: {found['msg']}" if found["type"] == "missing" else f"{key}={found['input']}: {found['msg']}"
