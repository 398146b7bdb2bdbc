"""Numbers on their way into the page: JSON has no NaN, and five digits are more than a screen shows."""

import math
from typing import TypeGuard


def is_number(value: float | None) -> TypeGuard[float]:
    """Return whether there is a finite value."""
    return value is not None and math.isfinite(value)


def shown(value: float | None) -> float | None:
    """Return ``value`` to five digits, or None where there is none or it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.5g}")
    return rounded if math.isfinite(rounded) else value  # the very largest would be rounded to infinity


def padded(values: list[float], share: float = 0.05) -> list[float] | None:
    """Return the range of an axis that holds all finite ``values`` with a margin; None: the picture decides itself."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    margin = (high - low) * share or abs(high) * share or 1.0
    ends = [low - margin, high + margin]
    return ends if all(map(math.isfinite, ends)) else None
