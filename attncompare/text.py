"""Numbers and words as people read them, and what is said of each cost."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """One figure of what a run took: how it is called, which way is better, and how it is written.

    ``short`` is a column's heading, at most two lines; ``unit`` is empty for pure numbers; ``exact`` costs follow from the
    model, the others are measured.
    """

    name: str
    title: str
    short: str
    unit: str
    higher_is_better: bool
    write: Callable[[float], str]
    exact: bool = False

    def format(self, value: float | None) -> str:
        """Write ``value`` for people, without the unit; an absent one is a dash."""
        return "–" if value is None else self.write(value)

    def describe(self) -> str:
        """Return the title with the unit, as an axis says it."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


def engineering(value: float) -> str:
    """Write three digits and a factor of a thousand: 1.23 M."""
    if not math.isfinite(value):
        return str(value)
    factors = ("", " k", " M", " G", " T", " P", " E")
    place = 0
    while abs(value) >= 999.5 and place < len(factors) - 1:
        value, place = value / 1000, place + 1
    digits = 0 if abs(value) >= 99.95 or (place == 0 and value == int(value)) else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f}{factors[place]}"


def byte_size(value: float) -> str:
    """Write a number of bytes in units of 1000: 312 MB."""
    text = engineering(value)
    return text + "B" if " " in text else text + " B"


def duration(seconds: float) -> str:
    """Return a number of seconds as people say it: "45 s", "12 min", "3.5 h"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def counted(count: int, noun: str) -> str:
    """Return how many there are of what ``noun`` names: "1 run", "2 runs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str) -> str:
    """Return ``text`` with whatever is no visible character, such as an escape sequence, spelled out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def printable_lines(text: str) -> str:
    """Return ``text`` with its line ends, and whatever else is no visible character spelled out."""
    return "\n".join(map(printable, text.split("\n")))


def shortly(value: object, longest: int = 200) -> str:
    """Return ``value`` as text of at most ``longest`` characters and "...", "none" where there is nothing."""
    if value in (None, "", []):
        return "none"
    text = str(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


COSTS = {
    cost.name: cost
    for cost in (
        Cost("parameters", "parameters", "para-\nmeters", "", False, engineering, exact=True),
        Cost(
            "train_flops_per_token",
            "training FLOPs per token",
            "FLOPs/\ntoken",
            "FLOPs",
            False,
            engineering,
            exact=True,
        ),
        Cost("cache_bytes_per_token", "cache per token", "cache/\ntoken", "bytes", False, byte_size, exact=True),
        Cost("tokens_per_second", "training tokens per second", "tokens\n/s", "tokens/s", True, engineering),
        Cost("peak_memory_bytes", "peak memory", "peak\nmemory", "bytes", False, byte_size),
        Cost("train_seconds", "training time", "train\ns", "s", False, lambda value: f"{value:.0f}"),
        Cost("wall_seconds", "wall time", "wall\ns", "s", False, lambda value: f"{value:.0f}"),
    )
}
PER_TOKEN_COSTS = ("train_flops_per_token", "tokens_per_second")
TABLE_COSTS = ("parameters", "train_flops_per_token", "tokens_per_second", "peak_memory_bytes", "train_seconds")
