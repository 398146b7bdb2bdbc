"""What is measured, as people read it: title, unit, direction and format of every metric and cost, in this one place.

Keys are the bare names; in ``metrics.csv`` and W&B they carry the split, as in ``val/loss``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

TASK_TITLES = {"translation": "Translation", "language_model": "Language model"}


@dataclass(frozen=True)
class Metric:
    """One figure: how it is called, which way is better, and how it is written.

    ``short`` is a column's heading, at most two lines; ``unit`` is empty for pure numbers; ``tasks`` have it.
    """

    key: str
    title: str
    short: str
    unit: str
    higher_is_better: bool
    tasks: tuple[str, ...]
    write: Callable[[float], str]

    def format(self, value: float | None) -> str:
        """Write ``value`` for people, without the unit; an absent one is a dash."""
        return "–" if value is None else self.write(value)

    def describe(self) -> str:
        """Return the title with the unit, as an axis says it."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def measure(self) -> str:
        """Return what a difference is counted in: "BLEU", "nats per token", "points of exact match"."""
        return f"points of {self.title}" if self.unit == "%" else self.unit or self.title


def fixed(digits: int) -> Callable[[float], str]:
    """Return a writer with ``digits`` after the point."""
    return lambda value: f"{value:.{digits}f}"


def percent(value: float) -> str:
    """Write a share of 1 in percent, without the sign."""
    return f"{100 * value:.1f}"


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


def counted(count: int, noun: str) -> str:
    """Return how many there are of what ``noun`` names: "1 run", "2 runs"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def byte_size(value: float) -> str:
    """Write a number of bytes in units of 1000: 312 MB."""
    text = engineering(value)
    return text + "B" if " " in text else text + " B"


def printable(text: str) -> str:
    """Return ``text`` with whatever is no visible character, such as an escape sequence, spelled out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


_TRANSLATION, _LANGUAGE_MODEL = ("translation",), ("language_model",)
_BOTH = _TRANSLATION + _LANGUAGE_MODEL


def _by_key(*metrics: Metric) -> dict[str, Metric]:
    return {metric.key: metric for metric in metrics}


METRICS = _by_key(
    Metric("bleu", "BLEU", "BLEU", "", True, _TRANSLATION, fixed(2)),
    Metric("chrf", "chrF", "chrF", "", True, _TRANSLATION, fixed(2)),
    Metric("ter", "TER", "TER", "", False, _TRANSLATION, fixed(2)),
    Metric("exact_match", "exact match", "exact\nmatch %", "%", True, _TRANSLATION, percent),
    Metric("loss", "loss", "loss\nnats", "nats per token", False, _BOTH, fixed(4)),
    Metric("bits_per_byte", "bits per byte", "bits/\nbyte", "", False, _LANGUAGE_MODEL, fixed(4)),
    Metric("perplexity", "perplexity", "perplexity", "", False, _BOTH, fixed(2)),
    Metric("token_accuracy", "token accuracy", "token\nacc. %", "%", True, _BOTH, percent),
)

COSTS = _by_key(
    Metric("parameters", "parameters", "para-\nmeters", "", False, _BOTH, engineering),
    Metric("train_flops_per_token", "training FLOPs per token", "FLOPs/\ntoken", "FLOPs", False, _BOTH, engineering),
    Metric("tokens_per_second", "training tokens per second", "tokens\n/s", "tokens/s", True, _BOTH, engineering),
    Metric("peak_memory_bytes", "peak memory", "peak\nmemory", "bytes", False, _BOTH, byte_size),
    Metric("train_seconds", "training time", "train\ns", "s", False, _BOTH, fixed(0)),
    Metric("wall_seconds", "wall time", "wall\ns", "s", False, _BOTH, fixed(0)),
)

# What a comparison's table shows of them, in this order.
TABLE_METRICS = {
    "translation": ("bleu", "chrf", "exact_match", "loss"),
    "language_model": ("loss", "bits_per_byte", "token_accuracy"),
}
# What is tested, the most important first. Bits per byte are not: on the same tokens they are the loss in another unit.
TESTED = {
    "translation": ("bleu", "loss", "chrf", "exact_match"),
    "language_model": ("loss", "token_accuracy"),
}
# These do not depend on how a text is cut into tokens, so they may be compared between tokenizers.
TOKEN_FREE = ("bleu", "chrf", "ter", "exact_match", "bits_per_byte")
PER_TOKEN_COSTS = ("train_flops_per_token", "tokens_per_second")
TABLE_COSTS = ("parameters", "train_flops_per_token", "tokens_per_second", "peak_memory_bytes", "train_seconds")


def shortly(value: object, longest: int = 200) -> str:
    """Return ``value`` as text of at most ``longest`` characters and "...", "none" where there is nothing."""
    if value in (None, "", []):
        return "none"
    text = str(value)
    return text if len(text) <= longest else f"{text[:longest]}..."
