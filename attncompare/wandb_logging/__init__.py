"""Weights & Biases: a view of the record while it is made, of a finished record, and of a comparison.

logger.py      Lightning's W&B logger behind a guard; a record logged again; the login
destination.py  where a run's view goes: config and W&B's environment variables
comparison.py  the W&B run of a comparison
report.py      ``attncompare wandb-report``: a workspace and a report for the runs of a sweep
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attncompare.wandb_logging.logger import (
        GuardedWandbLogger,
        final_figures,
        log_run,
        make_wandb_logger,
        require_login,
    )

__all__ = ["GuardedWandbLogger", "final_figures", "log_run", "make_wandb_logger", "require_login"]


def __getattr__(name: str) -> Any:
    """Import Lightning only when something that needs it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'attncompare.wandb_logging' has no attribute '{name}'")
    return getattr(importlib.import_module("attncompare.wandb_logging.logger"), name)
