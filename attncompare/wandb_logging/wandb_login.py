"""Whether W&B knows an account."""

import contextlib
import io
import os

import wandb

from attncompare.errors import Refused
from attncompare.wandb_logging.wandb_calls import one_line


def require_login(asked: str = "tracking=online", instead: str = "train with tracking=offline") -> None:
    """Refuse what needs W&B's server where W&B knows no account. Whether the server is there is not asked.

    Args:
        asked: what needs the login.
        instead: what can be done without one.
    """
    before = os.environ.get("WANDB_SILENT")
    os.environ["WANDB_SILENT"] = "true"  # else it asks the server for the account's name, to print it
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            logged_in = wandb.login(prompt=False, verify=False)
    except wandb.Error as error:
        raise Refused(f"{asked}: the W&B login cannot be used ({one_line(error)}); run `wandb login`") from None
    finally:
        if before is None:
            del os.environ["WANDB_SILENT"]
        else:
            os.environ["WANDB_SILENT"] = before
        wandb.teardown()  # else the run would begin with the settings of now
    if not logged_in:
        raise Refused(f"{asked}: no W&B login found; run `wandb login` (or set WANDB_API_KEY), or {instead}")
