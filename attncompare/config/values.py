"""The values that a config may hold, each type with the words that say what would be valid, and sections of parts."""

import json
import re
from typing import Annotated, Any

import pydantic
from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, WrapValidator, model_validator
from pydantic_core import PydanticCustomError, ValidationError

from attncompare import registry
from attncompare.errors import Refused


def must_be(words: str) -> WrapValidator:
    """Return an annotation: whatever is wrong with a value, the message is ``must be <words>``.

    Not for lists: in strict mode they become tuples only where nothing is wrapped around them.
    """

    def check(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise PydanticCustomError("must_be", "must be {words}", {"words": words}) from None

    return WrapValidator(check)


_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smh])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_CLOCK = re.compile(r"(\d{1,5}):([0-5]\d):([0-5]\d)")


def _as_seconds(value: Any) -> Any:
    """Return the seconds of a time as a clock shows it, or with its unit; all else as it is."""
    if isinstance(value, str) and (time := _TIME.fullmatch(value)):
        return float(time[1]) * _UNITS[time[2]]
    if not isinstance(value, str) or not (clock := _CLOCK.fullmatch(value)):
        return value
    hours, minutes, seconds = map(int, clock.groups())
    return float(3600 * hours + 60 * minutes + seconds)


Positive = Annotated[int, Field(gt=0), must_be("a positive integer")]
NotNegative = Annotated[int, Field(ge=0), must_be("an integer, 0 or more")]
AtLeastTwo = Annotated[int, Field(ge=2), must_be("an integer, 2 or more")]
AtLeastFour = Annotated[int, Field(ge=4), must_be("an integer, 4 or more")]
# How long sentences may be is known once there is a tokenizer.
_Sentences = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"\S")], ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),  # JSON has no tuples
]
Probes = Annotated[
    NotNegative | _Sentences, must_be("an integer, 0 or more, or a list of sentences, none of them empty")
]
LetterCount = Annotated[int, Field(ge=2, le=26), must_be("an integer from 2 to 26")]
Probability = Annotated[float, Field(ge=0, lt=1), must_be("a number from 0 to below 1")]
Share = Annotated[float, Field(ge=0, le=1), must_be("a number from 0 to 1")]
SplitFraction = Annotated[float, Field(gt=0, lt=0.5), must_be("a number between 0 and 0.5")]
SplitFractionOrZero = Annotated[float, Field(ge=0, lt=0.5), must_be("a number from 0 to below 0.5")]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False), must_be("a positive number")]
NotNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False), must_be("a number, 0 or more")]
# Labels become parts of file names and W&B tags, so they hold no separators.
Label = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,62}$"),
    must_be("1 to 63 letters, digits or any of _ . + -, a letter or digit first"),
]
NotNegativeOrNull = Annotated[NotNegative | None, must_be("an integer, 0 or more, or null")]
PositiveOrNull = Annotated[Positive | None, must_be("a positive integer, or null")]
# More than any processor has cores; of a million, the library that makes them would end the process.
ThreadsOrNull = Annotated[Annotated[int, Field(ge=1, le=1024)] | None, must_be("an integer from 1 to 1024, or null")]
PositiveFloatOrNull = Annotated[PositiveFloat | None, must_be("a positive number, or null")]
SplitFractionOrNull = Annotated[SplitFraction | None, must_be("a number between 0 and 0.5, or null")]
_SECONDS_WORDS = "2h, 30m, 45s, a positive number of seconds, HH:MM:SS, or null"
SecondsOrNull = Annotated[PositiveFloat | None, BeforeValidator(_as_seconds), must_be(_SECONDS_WORDS)]
LabelOrNull = Annotated[Label | None, must_be("null, or 1 to 63 letters, digits or any of _ . + -")]


class Strict(pydantic.BaseModel):
    """A section of the config: every key known, every type exact, nothing changed afterwards."""

    # Other keys are let in so that the rule below can refuse them together with the list of the valid ones.
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    @model_validator(mode="after")
    def _no_other_keys(self) -> "Strict":
        for key in self.model_extra or ():
            valid = ",".join(type(self).model_fields)
            raise PydanticCustomError("unknown_key", "unknown key", {"key": key, "valid": valid})
        return self


class PartConfig(Strict):
    """The settings of a part that the registry knows under ``name``; a part adds its own by a subclass ``Config``."""

    name: str


NAMES_ALONE = {"parts": "names alone"}
"""The context of a validation that checks only the names of parts, and imports none of them."""


def part(kind: str, default: str | None = None) -> Any:
    """Return the type of a section whose schema is the ``Config`` of the part that its key ``name`` chooses.

    The name alone, in place of a section, stands for the part with its default settings. A section without a name is that
    of the part ``default``, if there is one.
    """

    def check(values: Any, info: pydantic.ValidationInfo) -> Any:
        if isinstance(values, PartConfig):
            return values
        if isinstance(values, str):
            values = {"name": values}
        if isinstance(values, dict) and default is not None:
            values = {"name": default, **values}
        if not isinstance(values, dict) or not isinstance(values.get("name"), str):
            words = "a name, or a section with one: {name: ..., and its settings}"
            raise PydanticCustomError("must_be", "must be {words}", {"words": words})
        name = values["name"]
        if name not in registry.names(kind):
            valid = ",".join(registry.names(kind))
            raise PydanticCustomError("unknown_part", "unknown part", {"name": name, "valid": valid})
        if info.context == NAMES_ALONE:
            return PartConfig(name=name)
        chosen = registry.load(kind, name)
        if not (isinstance(chosen.Config, type) and issubclass(chosen.Config, PartConfig)):
            what = f"{kind.removesuffix('s')} '{name}': {chosen.__name__}.Config"
            raise Refused(f"{what} must be a class derived from attncompare.config.PartConfig")
        # Through JSON, because strict mode takes lists for tuples only from there.
        return chosen.Config.model_validate_json(json.dumps(values))

    return Annotated[pydantic.SerializeAsAny[PartConfig], BeforeValidator(check)]
