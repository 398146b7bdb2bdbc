"""Short names for runs that stand beside each other: what sets them apart, and no more."""

from collections.abc import Sequence

from attncompare.dashboard.look import Look
from attncompare.text import printable

_PLAIN = ("attention", "task", "data", "backbone", "optimizer", "experiment")  # the value says it all


def labels(looks: Sequence[Look]) -> list[str]:
    """Return a name for each of ``looks``: of its overrides those that not all of them share."""
    known = [look for look in looks if look.run]
    if len(known) < 2:
        return [_label(look, None) for look in looks]
    shared = set(known[0].overrides).intersection(*(look.overrides for look in known))
    return [_label(look, shared) for look in looks]


def _label(look: Look, shared: set[str] | None) -> str:
    """Return the name of ``look`` beside others with which it has ``shared`` overrides; None: it stands alone."""
    if look.run is None:
        return look.name.rpartition("/")[2]
    attention = look.run.config.attention
    apart = [one for one in look.overrides if one not in (shared or ()) and not one.startswith("attention=")]
    words = [f"seed {look.run.config.seed}"] if shared is None else [_words(one) for one in apart]
    if attention.heads > 1 and not any(one.startswith("attention.heads=") for one in apart):
        words.insert(0, f"{attention.heads} heads")
    return printable(", ".join([attention.name, *words]))


def _words(override: str) -> str:
    key, _, value = override.lstrip("+").partition("=")
    if key in _PLAIN:
        return value
    name = key.rpartition(".")[2]
    if name == "heads":
        return f"{value} heads" if value != "1" else "1 head"
    return f"{name} {value}"
