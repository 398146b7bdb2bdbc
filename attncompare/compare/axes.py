"""Along which axes the variants of a comparison differ: attention, and each other key that a run chooses."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from attncompare.compare.checks import TOKENIZER, implied_keys, is_free
from attncompare.config import RunConfig
from attncompare.config.plain_values import flatten
from attncompare.config.schema import CHOSEN
from attncompare.text import counted

ATTENTION = "attention"
_NAME = "attention.name"


@dataclass(frozen=True)
class Axis:
    """One axis: a key and the value of each variant, in their order; of ``attention`` what sets the variants apart otherwise."""

    key: str
    values: tuple[Any, ...]

    @property
    def distinct(self) -> list[Any]:
        """Each value once, numbers ascending."""
        found = list({json.dumps(value): value for value in self.values}.values())
        return sorted(found) if self.numeric else found

    @property
    def numeric(self) -> bool:
        """Whether all values are finite numbers, so that figures can be drawn against them."""
        return all(map(is_numeric, self.values))

    def __str__(self) -> str:
        return f"{self.key} ({counted(len(self.distinct), 'variant' if self.key == ATTENTION else 'value')})"


def is_numeric(value: Any) -> TypeGuard[float]:
    """Return whether ``value`` is a finite number and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def axes_of(configs: Sequence[RunConfig], hidden: Sequence[str] = ()) -> tuple[Axis, ...]:
    """Return the axes of variants with these ``configs``: attention, its numbers, then other keys.

    A number of attention, such as ``attention.heads``, is an axis of its own where variants differ in nothing else of
    attention, their name included. ``hidden`` are keys of which each variant has one value by choice (``--tune``).
    """
    flats = [flatten(config.to_dict()) for config in configs]
    keys = [key for key in dict.fromkeys(key for flat in flats for key in flat) if not is_free(key, hidden)]
    of_attention = [key for key in keys if key.startswith(f"{ATTENTION}.")]

    def rest(flat: dict[str, Any], without: Sequence[str]) -> str:
        return json.dumps([flat.get(key) for key in of_attention if key not in without])

    numbers = []
    for key in of_attention:
        values: dict[str, set[float]] = {}
        for flat in flats:
            if is_numeric(flat.get(key)):
                values.setdefault(rest(flat, [key]), set()).add(flat[key])
        if any(len(found) > 1 for found in values.values()):
            numbers.append(key)
    told = {*of_attention, *implied_keys(flats)}
    others = [key for key in keys if key not in told and is_free(key, (*CHOSEN, TOKENIZER))]
    axes = [
        Axis(ATTENTION, tuple(rest(flat, numbers) for flat in flats)),
        *(Axis(key, tuple(flat.get(key) for flat in flats)) for key in (*numbers, *others)),
    ]
    return tuple(axis for axis in axes if len(axis.distinct) > 1)


def crossing_note(axes: Sequence[Axis]) -> list[str]:
    """Return a note if not every combination of the axes is there: a difference may then come from one or the other."""
    there = len(set(zip(*([json.dumps(value) for value in axis.values] for axis in axes), strict=True)))
    if len(axes) < 2 or there == math.prod(len(axis.distinct) for axis in axes):
        return []
    named = ", ".join(axis.key for axis in axes)
    return [
        f"not every combination of {named} is there: variants that differ in several show the effect of all together"
    ]
