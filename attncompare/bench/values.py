"""A figure in words: medians with their quartiles, in units that fit."""

import math

from attncompare.bench.report import Kind, Value
from attncompare.bench.spread import Spread

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def shown(value: Value, kind: Kind) -> str:
    """Return the figure, the median of a spread: "12.3 ms", "3.14×", "25 %"; "" for none."""
    if value is None or isinstance(value, str):
        return value or ""
    number = value.median if isinstance(value, Spread) else value
    factor, unit = _unit(number, kind)
    return f"{_digits(number * factor)}{unit}"


def quartiles(value: Value, kind: Kind) -> str:
    """Return the quartiles in the unit of the median, "[12.1, 12.9]"; "" where nothing spreads."""
    if not isinstance(value, Spread) or value.count < 2:
        return ""
    factor, _ = _unit(value.median, kind)
    return f"[{_digits(value.low * factor)}, {_digits(value.high * factor)}]"


def _unit(number: float, kind: Kind) -> tuple[float, str]:
    """Return what a number is multiplied by, and the unit behind it."""
    if kind in ("seconds", "bytes"):
        units = _SECONDS if kind == "seconds" else _BYTES
        size, unit = next((one for one in units if abs(number) >= one[0]), units[-1])
        return 1 / size, f" {unit}"
    return {"ratio": (1, "×"), "share": (100, " %"), "rate": (1, "/s")}.get(kind, (1, ""))


def _digits(number: float) -> str:
    """Return integers whole, all else with three significant digits and without an exponent."""
    if isinstance(number, int):
        return f"{number:,}"
    if not math.isfinite(number) or number == 0:
        return f"{number:g}"
    return f"{number:,.{max(0, 2 - math.floor(math.log10(abs(number))))}f}"
