"""The W&B run of a comparison: the report page and how much was decided, beside the runs that it compares."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attncompare.errors import RunFailed
from attncompare.wandb_logging.logger import GuardedWandbLogger, html, require_login

JOB_TYPE = "comparison"
COMPARISON_ID = "comparison-"
"""How W&B's names of comparisons begin, which stand beside the runs that they compare."""


def show_comparison(page: Path, summary: Mapping[str, Any], *, online: bool, **settings: Any) -> str:
    """Show a comparison's ``page`` in W&B, sent now or in ``wandb/`` beside it, and return where, in words.

    ``settings`` are those of ``wandb.init``. Showing the same ``id`` again replaces what was there.

    Raises Refused if it should be sent and there is no login; RunFailed if W&B does not take it."""
    if online:
        require_login("compare --wandb of runs that were logged online", "show it later, once you are logged in")
    settings |= {"job_type": JOB_TYPE, "tags": [JOB_TYPE]}
    logger = GuardedWandbLogger(page.parent, "online" if online else "offline", {}, **settings)
    state = "interrupted"
    try:
        logger.log({"report": html(page.read_text(encoding="utf-8"))})
        state = "finished"
    finally:
        logger.finish(state, summary)
    if logger.problem:
        raise RunFailed(f"the comparison is not in W&B: {logger.problem}")
    if online:
        return str(logger.url)
    (kept,) = page.parent.glob(f"wandb/offline-run-*-{settings['id']}")
    return f"written for later; send it with: wandb sync {shlex.quote(os.path.relpath(kept))}"
