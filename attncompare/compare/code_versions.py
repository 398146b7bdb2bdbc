"""Whether the compared runs were trained by the same code and the same version of torch."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from attncompare.record import Run


def code_notes(runs: Sequence[Run]) -> list[str]:
    """Return one note if commit, uncommitted changes or version of torch differ among ``runs``; else none.

    A record that does not tell one of them, such as W&B's, is not held against the others.

    Raises:
        Refused: if an environment is damaged.
    """
    values: dict[str, dict[str, Run]] = {}
    for run in runs:
        for fact, value in _facts(run.environment()):
            values.setdefault(fact, {}).setdefault(value, run)
    told = [
        f"{fact} {' or '.join(f'{value} ({run.path})' for value, run in found.items())}"
        for fact, found in values.items()
        if len(found) > 1
    ]
    return [f"not all trained by the same code: {'; '.join(told)}"] if told else []


def _facts(environment: dict[str, Any]) -> Iterator[tuple[str, str]]:
    git, packages = environment.get("git"), environment.get("packages")
    if isinstance(git, dict):
        yield "commit", str(git.get("commit"))[:12]
        yield "uncommitted changes", _digest(str(git.get("diff") or ""))
    elif "git" in environment:
        yield "commit", f"none, attncompare {environment.get('attncompare')}"
    if isinstance(packages, dict) and "torch" in packages:
        yield "torch", str(packages["torch"])


def _digest(diff: str) -> str:
    """Return "none", or the beginning of the SHA-256 of ``diff``, which tells it from others."""
    return hashlib.sha256(diff.encode()).hexdigest()[:8] if diff else "none"
