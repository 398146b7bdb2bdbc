"""What is not as it was when a run was made, sorted by how likely it is to change numbers."""

import re
from dataclasses import dataclass
from typing import Any

from attncompare.text import counted
from attncompare.config.plain_values import flatten
from attncompare.record.words import printable, shortly

# Other data gives another run at once; another torch, thread count or processor rounds otherwise; the rest rarely matters.
_ORDER = (
    *("data_fingerprint", "packages.torch", "threads", "device", "cpu_capability", "cpu_features", "cpu", "kernels"),
    *("git.commit", "git.diff", "git.untracked", "git.left_out", "git", "attncompare", "python"),
)
_LAST = ("cores", "platform")


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was; of long texts only how long they are."""

    what: str
    recorded: Any
    now: Any

    def __str__(self) -> str:
        if isinstance(self.recorded, list) and isinstance(self.now, list):
            before, after = ({str(one) for one in values} for values in (self.recorded, self.now))
            gone, new = (shortly(" ".join(sorted(some))) for some in (before - after, after - before))
            return printable(f"{self.what}: only in the record {gone}; only now {new}")
        return printable(f"{self.what}: {shortly(self.recorded)} in the record, {shortly(self.now)} now")

    @property
    def is_package(self) -> bool:
        """Return whether it is one of the many packages; torch, which computes, is none of the many."""
        return self.what.startswith("packages.") and self.what != "packages.torch"


def changes(recorded: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """Return what differs, of all that was recorded.

    Args:
        recorded: what ``environment.json`` holds, or some of it: of what is not there nothing can be said.
        now: the same of this machine (:func:`attncompare.record.environment.environment`).
    """
    known = {key: value for key, value in now.items() if key in recorded}
    before, after = _flat(recorded), _flat(known)
    found = [
        Change(key, _short(key, before.get(key)), _short(key, after.get(key)))
        for key in before.keys() | after.keys()
        if (before.get(key) or None) != (after.get(key) or None)
    ]
    return sorted(found, key=_rank)


def said(found: list[Change]) -> list[str]:
    """Return ``found`` in words, a line each; the packages but for torch, which are many and matter little, in one."""
    packages = [change for change in found if change.is_package]
    lines = [str(change) for change in found if not change.is_package]
    if packages:
        names = ", ".join(change.what.removeprefix("packages.") for change in packages)
        counted = "1 other package differs" if len(packages) == 1 else f"{len(packages)} other packages differ"
        lines.append(printable(f"packages: {counted}: {names}"))
    return lines


def _flat(environment: dict[str, Any]) -> dict[str, Any]:
    packages = environment.get("packages")
    if isinstance(packages, dict):  # one package has several spellings, and each tool its own
        spelled = {re.sub(r"[-_.]+", "-", str(name)).lower(): version for name, version in packages.items()}
        environment = {**environment, "packages": spelled}
    return flatten(environment)


def _rank(change: Change) -> tuple[int, str]:
    if change.what in _ORDER:
        return _ORDER.index(change.what), change.what
    return len(_ORDER) + (_LAST.index(change.what) + 1 if change.what in _LAST else 0), change.what


def _short(key: str, value: Any) -> Any:
    """Return ``value``, or how much it is where nobody could read it all."""
    if key == "git.diff" and value:
        return counted(len(str(value).splitlines()), "line")
    if key == "git.untracked" and value:
        return counted(len(str(value).split(", ")), "file")
    return value
