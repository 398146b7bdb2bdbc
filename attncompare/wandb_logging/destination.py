"""Where W&B's view of a run goes: what the config says, and W&B's own environment variables where it says nothing."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from attncompare.config import RunConfig
from attncompare.errors import Refused
from attncompare.text import printable

_PROJECT = "attncompare"
_NOT_IN_NAMES = re.compile(r"[/\\#?%:]")
LONGEST_TAG = 64  # characters that W&B takes
_MODES: dict[str, Literal["offline", "online", "disabled"]] = {
    **{"offline": "offline", "online": "online", "disabled": "disabled"},
    **{"": "offline", "dryrun": "offline", "run": "online"},  # unset; the names of W&B's older versions
}


@dataclass(frozen=True)
class Destination:
    """What counted for one run; its record keeps it, and nothing of it belongs to the run's identity.

    Attributes:
        mode: whether W&B writes files, is sent everything, or sees nothing.
        project, entity: where on W&B's server; entity None: the account's default.
        group: the sweep of the run, or ``WANDB_RUN_GROUP``.
        tags, notes: beside those that every run has.
        folder: where W&B puts its folder ``wandb`` (``WANDB_DIR``); None: into the run's own folder.
    """

    mode: Literal["offline", "online", "disabled"]
    project: str
    entity: str | None
    group: str | None
    tags: tuple[str, ...]
    notes: str
    folder: str | None

    @classmethod
    def chosen(cls, config: RunConfig, group: str | None) -> "Destination":
        """Return where a new run goes.

        Raises:
            Refused: if a variable of W&B's that counts holds what W&B would refuse later.
        """
        tracking, tags = config.tracking, os.environ.get("WANDB_TAGS", "").split(",")
        mode = os.environ.get("WANDB_MODE", "")
        _check_variables()
        if tracking.wandb is None and mode not in _MODES:
            raise Refused(f"WANDB_MODE={mode}: valid: online, offline or disabled")
        return cls(
            tracking.wandb or _MODES[mode],
            tracking.project or os.environ.get("WANDB_PROJECT") or _PROJECT,
            tracking.entity or os.environ.get("WANDB_ENTITY") or None,
            group or os.environ.get("WANDB_RUN_GROUP") or None,
            config.tags or tuple(tag.strip() for tag in tags if tag.strip()),
            config.notes or os.environ.get("WANDB_NOTES", ""),
            _folder(),
        )

    @classmethod
    def recorded(cls, config: RunConfig, summary: Mapping[str, Any]) -> "Destination":
        """Return where a recorded run goes: as when it began, but for the folder, which is that of now.

        A record may come from elsewhere: it does not say where on this machine something is written.
        """
        known = summary.get("wandb") or {}
        tracking = config.tracking
        return cls(
            known.get("mode") or tracking.wandb or "offline",
            known.get("project") or tracking.project or _PROJECT,
            known.get("entity", tracking.entity),
            summary.get("group") or known.get("group"),
            tuple(known.get("tags", config.tags)),
            known.get("notes", config.notes),
            _folder(),
        )


def _check_variables() -> None:
    for name in ("WANDB_PROJECT", "WANDB_ENTITY"):
        value = os.environ.get(name, "")
        if _NOT_IN_NAMES.search(value):
            raise Refused(f"{name}={printable(value)}: must not hold any of / \\ # ? % :")
    for tag in os.environ.get("WANDB_TAGS", "").split(","):
        if len(tag.strip()) > LONGEST_TAG:
            raise Refused(
                f"WANDB_TAGS: a tag of {len(tag.strip())} characters; W&B takes {LONGEST_TAG} at most: {tag[:20]}..."
            )


def _folder() -> str | None:
    folder = os.environ.get("WANDB_DIR")
    return str(Path(folder).absolute()) if folder else None
